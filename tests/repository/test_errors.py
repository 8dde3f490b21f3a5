"""Errors carry what is wrong and what to do apart, and no code tells them apart by their text."""

from __future__ import annotations

import ast
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import Owl

from owl_geo import errors
from owl_geo.errors import ConfigError, OwlError, suggestion
from owl_geo.settings import owl_toml

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "owl_geo").rglob("*.py"))
KINDS = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, OwlError)
}


def test_the_line_is_the_message_and_the_remedy() -> None:
    error = OwlError("r is not a run", remedy="make one")
    assert (str(error), error.message, error.remedy) == (
        "r is not a run; make one",
        "r is not a run",
        "make one",
    )
    assert str(OwlError("r is not a run")) == "r is not a run"


def test_a_remedy_survives_the_way_between_processes() -> None:
    error = ConfigError("a", remedy="b", settings=["c.d"], fault="e")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.remedy, again.settings, again.fault) == ("a; b", "b", ("c.d",), "e")


@pytest.mark.parametrize(
    ("tables", "message", "remedy"),
    [
        ({"lop": {}}, "lop is not a setting", "did you mean 'loop'?"),
        ({"source": {"kind": "geotiff"}}, "source.scenes is missing", "name your imagery"),
        ({"source": {"kind": "x"}}, "source.kind is 'x'", "known: "),
        ({"loop": {"audit_share": 2}}, "it should be", ""),
        ({"acquisition": {"audit_share": 90}}, "it should be", "write a share, 0.9 for 90 %"),
        ({"positive": "presen"}, "positive is 'presen'", "did you mean 'present'?"),
    ],
)
def test_settings_say_the_remedy_apart(tables: dict, message: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        owl_toml.parse({"source": {"kind": "synthetic"}} | tables, "owl.toml")
    assert remedy in caught.value.remedy
    assert "; " not in caught.value.message
    if message != "it should be":
        assert message in caught.value.message


def _raised(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
            yield node


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_remedy_hides_in_a_message_and_none_is_read_from_one(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    for call in _raised(tree):
        if any(keyword.arg == "remedy" for keyword in call.keywords) or not call.args:
            continue
        texts = [n.value for n in ast.walk(call.args[0]) if isinstance(n, ast.Constant)]
        assert not any("; " in text for text in texts if isinstance(text, str)), call.lineno
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.In) for op in node.ops):
            assert not any(_is_text_of_an_error(side) for side in node.comparators), node.lineno
        if isinstance(node, ast.Attribute) and node.attr in ("partition", "startswith", "endswith"):
            assert not _is_text_of_an_error(node.value), node.lineno


def _is_text_of_an_error(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "str"
        and any(isinstance(arg, ast.Name) and arg.id == "error" for arg in node.args)
    )


def test_many_known_words_are_cut_short() -> None:
    words = [f"w{number}" for number in range(1, 1001)]
    assert suggestion("something else", words).endswith(", w19, w20 and 980 more")
    assert suggestion("something else", words[:20]).endswith(", w19, w20")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps the folder that one is in")
@pytest.mark.parametrize("command", ["status run", "init run --scene s.tif"])
def test_a_working_folder_that_was_removed_is_said(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owl: Owl
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    done = owl(*command.split())
    assert (done.code, done.out) == (1, "")
    assert done.err == "error: the folder you are in no longer exists; change to one that does\n"
