"""What lies in folders, and folders that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from unreadable import disconnect, forbid

from owl_geo.disk.listing import entries, files_below, passed_over


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b/2.txt", "a/1.txt", "a/deep/0.txt", "c.txt"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "tree" / "empty").mkdir()
    return tmp_path / "tree"


def test_what_there_is(tree: Path) -> None:
    assert entries(tree) == [tree / name for name in ("a", "b", "c.txt", "empty")]
    assert entries(tree / "nowhere") == entries(tree / "c.txt") == []
    names = sorted(path.relative_to(tree).as_posix() for path in files_below(tree))
    assert names == ["a/1.txt", "a/deep/0.txt", "b/2.txt", "c.txt"]


@pytest.mark.parametrize("name", ["", "a/deep"])
def test_no_folder_is_passed_over(name: str, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(tree / name, monkeypatch)
    with pytest.raises(PermissionError):
        list(files_below(tree))
    with pytest.raises(PermissionError):
        entries(tree / name)


@pytest.mark.parametrize(
    ("pattern", "name", "is_looked_into"),
    [
        ("*/*.txt", "b", True),
        ("*/*/*.txt", "a", True),
        ("**/*.txt", "a/deep", True),
        ("a/*.txt", "b", False),
        ("*/1.txt", "b", False),  # what is named needs no list
        ("nowhere/*.txt", "b", False),
    ],
)
def test_what_a_pattern_passes_over(
    pattern: str, name: str, is_looked_into: bool, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(tree / name, monkeypatch)
    found = dict(passed_over(str(tree / pattern)))
    assert [*found] == ([str(tree / name)] if is_looked_into else [])
    disconnect(tree / name, monkeypatch)
    found = dict(passed_over(str(tree / pattern)))
    assert [*found] == ([str(tree / name)] if is_looked_into else [])
