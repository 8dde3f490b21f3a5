"""What README, DESIGN and the pages of docs say is there, is there."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
from commands import every_command
from registry import LAYOUTS

import owl_geo
from owl_geo.cli import cli
from owl_geo.settings.owl_toml import parse

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DESIGN = (ROOT / "DESIGN.md").read_text(encoding="utf-8")


PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
}


def blocks(language: str) -> list[tuple[str, str]]:
    """Return each code block of a language with the page that it stands in."""
    fence = rf"```{language}\n(.*?)```"
    return [
        (page, block)
        for page, text in PAGES.items()
        for block in re.findall(fence, text, flags=re.DOTALL)
    ]


def commands() -> list[str]:
    """Every owl-geo command line in the pages, in code blocks and in running text."""
    joined = "\n".join(block for _, block in blocks("sh")).replace("\\\n", " ")
    inline = [line for text in PAGES.values() for line in re.findall(r"`(owl-geo [^`]+)`", text)]
    lines = [*joined.splitlines(), *(" ".join(line.split()) for line in inline)]
    return [line for line in dict.fromkeys(lines) if line.startswith("owl-geo ")]


def known_options(command: click.Command) -> set[str]:
    return {
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }


@pytest.mark.parametrize("line", commands())
def test_every_command_and_option_exists(line: str) -> None:
    _, name, *rest = shlex.split(line, comments=True)
    command = cli.commands[name]
    if isinstance(command, click.Group):
        command, rest = command.commands[rest[0]], rest[1:]
    assert {word for word in rest if word.startswith("-")} <= known_options(command)


def test_options_in_running_text_exist() -> None:
    known = set().union(*(known_options(command) for command in every_command(cli)))
    for page, text in PAGES.items():
        assert set(re.findall(r"`(--[a-z-]+)", text)) <= known | {"--help"}, page


@pytest.mark.parametrize(("page", "text"), blocks("toml"))
def test_what_the_pages_say_of_owl_toml_is_valid(page: str, text: str) -> None:
    scenes = [{"name": "s", "path": "s.tif"}]
    values = tomllib.loads(text)
    # what the commands beside it have made
    made = {"source": {"kind": "geotiff", "scenes": scenes}, "layers": {"osm": {"path": "a.osm"}}}
    parse({**made, **values}, page)


@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_the_python_names_in_the_pages_exist(page: str, text: str) -> None:
    named = set(re.findall(r"owl_geo\.(\w+)", text))
    assert named, page
    assert named <= set(owl_geo.__all__), page
    ast.parse(text)


def text_of(node: ast.expr) -> str:
    """Return what an expression says, with … where a value comes in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(text_of, node.values))
    return "…"


def messages() -> list[str]:
    """Return every text in the code, and every error with its remedy as they are printed."""
    found = []
    for folder in ("owl_geo", "qgis_plugin"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, (ast.Constant, ast.JoinedStr)):
                    found.append(text_of(node))
                elif isinstance(node, ast.Call) and node.args:
                    remedies = [word.value for word in node.keywords if word.arg == "remedy"]
                    found += [f"{text_of(node.args[0])}; {text_of(one)}" for one in remedies]
    sql = (ROOT / "owl_geo" / "labels" / "store.sql").read_text(encoding="utf-8")
    found += [text.replace("%", "…") for text in re.findall(r"RAISE EXCEPTION '([^']+)'", sql)]
    return [" ".join(text.split()) for text in found]


def quoted_errors() -> list[str]:
    text = PAGES["docs/troubleshooting.md"]
    return re.findall(r"^### `(.+)`$", text, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def in_code() -> list[str]:
    return messages()


@pytest.mark.parametrize("line", quoted_errors())
def test_every_error_that_troubleshooting_explains_can_still_be_met(
    line: str, in_code: list[str]
) -> None:
    fixed = [re.escape(part.strip()) for part in line.split("…") if part.strip(" .:;'`")]
    assert sum(map(len, fixed)) >= 11, "too few words to find a line by"
    pattern = re.compile(".*".join(fixed))
    assert any(pattern.search(text) for text in in_code)


def test_make_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = re.findall(r"(?:^|`)make (\w+)", "\n".join(PAGES.values()), flags=re.MULTILINE)
    assert {"demo", "release"} <= set(named)
    for target in named:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


HOUSE = DESIGN.split("```")[1]


def test_the_modules_in_design_exist() -> None:
    drawn = re.findall(r"^[a-z_]+\.py|(?<=[ (])[a-z_]+\.py", HOUSE, flags=re.MULTILINE)
    assert len(drawn) >= 8
    for name in drawn:
        assert list((ROOT / "owl_geo").rglob(name)), name
    places = (ROOT, ROOT / "owl_geo", ROOT / "qgis_plugin" / "owl_geo_labeler")
    named = re.findall(r"`([a-z_/]+\.(?:py|sql))`", DESIGN)
    assert len(named) >= 30
    for name in named:
        assert any((place / name).is_file() for place in places), name


def test_the_folders_in_design_are_those_that_there_are() -> None:
    drawn = re.findall(r"(?<![a-z_/])([a-z_]+)/", re.sub(r"\(.*?\)", "", HOUSE))
    folders = [path.parent.name for path in (ROOT / "owl_geo").glob("*/__init__.py")]
    assert sorted(drawn) == sorted([*folders, "qgis_plugin"])


def test_what_contributing_says_where_things_are_is_there() -> None:
    text = PAGES["CONTRIBUTING.md"]
    named = [name for name in re.findall(r"`([a-z_/]+(?:\.py|/))`", text) if name != "site/"]
    assert len(named) >= 15
    for name in named:
        assert any((place / name).exists() for place in (ROOT, ROOT / "owl_geo")), name


def test_the_layers_are_told_as_they_are_held() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    held = contracts["importlinter"]["contracts"][0]["layers"]
    told = re.findall(r"^    ([a-z_ |]+)$", owl_geo.__doc__ or "", flags=re.MULTILINE)
    assert told == held


def test_the_page_of_formats_has_every_layout_that_is_tested() -> None:
    assert "<!-- generated: formats -->" in PAGES["docs/reference/formats.md"]
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None and spec.loader is not None
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    text = hooks.GENERATORS["formats"]()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    cells = [row[0].removeprefix("| ") for row in rows if row[1] not in ("bands", "---")]
    names = [name for cell in cells for name in cell.split("<br>")]
    assert sorted(names) == sorted({layout.name for layout in LAYOUTS})
    assert len(names) == len(LAYOUTS)
    assert {len(row) for row in rows} == {5}
    for layout in LAYOUTS:
        assert layout.values and layout.missing and layout.position, layout.name
