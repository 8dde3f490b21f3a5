"""Folders that appear whole or not at all, whatever stands in their place already."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from owl_geo.disk.atomic import writing_file, writing_folder
from owl_geo.errors import RunError


def write(target: Path, content: str, *, replace: bool) -> None:
    with writing_folder(target, replace=replace) as partial:
        (partial / "file").write_text(content, encoding="utf-8")


def contents(folder: Path) -> dict[str, str]:
    """Return the text of every file below a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_appears_where_nothing_stands_or_an_empty_one(
    replace: bool, tmp_path: Path
) -> None:
    """``--overwrite`` may meet nothing, for example in a script that always gives it."""
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        write(tmp_path / name, name, replace=replace)
    assert contents(tmp_path) == {"new/file": "new", "empty/file": "empty"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "new"]


def test_a_full_folder_is_replaced_only_when_told_to(tmp_path: Path) -> None:
    target = tmp_path / "run"
    write(target, "first", replace=False)
    with pytest.raises(RunError, match=r"cannot write .*run: .* .nothing there was changed"):
        write(target, "second", replace=False)
    assert contents(tmp_path) == {"run/file": "first"}
    write(target, "third", replace=True)
    assert contents(tmp_path) == {"run/file": "third"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_error_while_it_is_filled_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "run"
    write(target, "first", replace=False)

    def fail(folder: Path) -> None:
        with writing_folder(folder, replace=True) as partial:
            (partial / "file").write_text("half", encoding="utf-8")
            raise KeyboardInterrupt

    for folder in (target, tmp_path / "new"):
        with pytest.raises(KeyboardInterrupt):
            fail(folder)
    assert contents(tmp_path) == {"run/file": "first"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_cannot_be_replaced_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was left under a hidden name, for the next command to delete."""
    target = tmp_path / "run"
    write(target, "first", replace=False)
    rename = Path.rename

    def fails(path: Path, to: Path) -> Path:
        if to == target and (path / "file").read_text(encoding="utf-8") == "second":
            raise PermissionError(13, "Permission denied")
        return rename(path, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fails)
        with pytest.raises(RunError, match=r"Permission denied .nothing there was changed"):
            write(target, "second", replace=True)
    assert contents(tmp_path) == {"run/file": "first"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    write(target, "third", replace=True)
    assert contents(tmp_path) == {"run/file": "third"}


def test_what_was_replaced_and_cannot_be_removed_is_removed_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "run", "first", replace=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", _refuse)
        patch.setattr(os, "rmdir", _refuse)
        write(tmp_path / "run", "second", replace=True)
    assert contents(tmp_path / "run") == {"file": "second"}
    write(tmp_path / "run", "third", replace=True)
    assert contents(tmp_path) == {"run/file": "third"}


def _refuse(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_a_folder_that_another_process_puts_in_place_is_not_taken_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was half deleted in its place, where that happened while left-overs were removed."""
    at_work, target = tmp_path / ".run.partial-0123", tmp_path / "run"
    at_work.mkdir()
    (at_work / "file").write_text("theirs", encoding="utf-8")
    rename, remove = Path.rename, shutil.rmtree

    def renames(path: Path, to: Path) -> Path:
        if path == at_work:
            rename(at_work, target)
        return rename(path, to)

    def removes(folder: Path, **options: Any) -> None:
        if folder == at_work:
            folder = rename(at_work, target)  # it goes on there, by the folder's descriptor
        remove(folder, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", renames)
        patch.setattr(shutil, "rmtree", removes)
        with pytest.raises(RunError, match=r"cannot write .*run: "):
            write(target, "mine", replace=False)
    assert contents(tmp_path) == {"run/file": "theirs"}


def test_what_a_killed_process_left_of_the_same_folder_goes(tmp_path: Path) -> None:
    for name in (".run.partial-0123", ".other.partial-0123"):
        (tmp_path / name).mkdir()
    write(tmp_path / "run", "new", replace=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.partial-0123", "run"]


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    write(tmp_path / "run", "new", replace=False)
    assert (tmp_path / "run").is_symlink()
    assert contents(tmp_path / "elsewhere") == {"file": "new"}


def test_a_file_of_a_run_that_is_gone_is_not_written(tmp_path: Path) -> None:
    gone = tmp_path / "run" / "features" / "a.npy"
    with (
        pytest.raises(RunError, match="No such file"),
        writing_file(gone, parents=False) as partial,
    ):
        partial.write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []
    gone.parents[1].mkdir()
    with writing_file(gone, parents=False) as partial:
        partial.write_bytes(b"x")
    assert gone.read_bytes() == b"x"


def test_two_that_write_one_file_at_once_do_it_by_turns(tmp_path: Path) -> None:
    target = tmp_path / "answers.csv"
    begun, ended = threading.Event(), threading.Event()

    def second() -> None:
        begun.set()
        with writing_file(target) as partial:
            assert target.read_text(encoding="utf-8") == "all of the first"
            partial.write_text("all of the second", encoding="utf-8")
        ended.set()

    other = threading.Thread(target=second)
    with writing_file(target) as partial:
        partial.write_text("all of ", encoding="utf-8")
        other.start()
        begun.wait()
        assert not ended.wait(0.3)
        with partial.open("a", encoding="utf-8") as file:
            file.write("the first")
    other.join()
    assert ended.is_set()
    assert contents(tmp_path) == {"answers.csv": "all of the second"}


def test_files_beside_each_other_are_written_at_once_and_leave_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with writing_file(tmp_path / "a.csv") as a, writing_file(tmp_path / "b.csv") as b:
        a.write_text("a", encoding="utf-8")
        b.write_text("b", encoding="utf-8")
        assert len(list(temporary.iterdir())) == 2
    assert contents(tmp_path) == {"a.csv": "a", "b.csv": "b"}
