"""What lies in folders, and folders that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from unreadable import forbid

from owl_geo.disk.listing import entries, files_below, matching


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


def test_a_pattern_matches_as_glob_does_and_tells_what_it_could_not_read(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(pattern: str) -> tuple[list[str], list[str]]:
        paths, refused = matching(f"{tree}/{pattern}")
        names = [Path(path).relative_to(tree).as_posix() for path in paths]
        return names, [str(error.filename) for error in refused]

    (tree / ".hidden").mkdir()
    assert found("*/*.txt") == (["a/1.txt", "b/2.txt"], [])
    assert found("**/*.txt") == (["a/1.txt", "a/deep/0.txt", "b/2.txt", "c.txt"], [])
    assert found("nowhere/*.txt") == ([], [])
    forbid(tree / "a", monkeypatch)
    forbid(tree / ".hidden", monkeypatch)
    assert found("*/*.txt") == (["b/2.txt"], [str(tree / "a")])
    assert found("**/*.txt") == (["b/2.txt", "c.txt"], [str(tree / "a")])
    assert found("b/*.txt") == (["b/2.txt"], [])
    assert found("*.txt") == (["c.txt"], [])
