"""What is there, what is not, and what nobody can tell, which is neither."""

from __future__ import annotations

import ast
import errno
import os
from pathlib import Path

import pytest
from unreadable import disconnect

import owl_geo
from owl_geo.disk import presence
from owl_geo.disk.presence import check_exists, check_not_refused, exists, is_dir, is_file
from owl_geo.errors import RunError, SourceError, system_error

ASK = (exists, is_file, is_dir)


@pytest.fixture
def share(tmp_path: Path) -> Path:
    share = tmp_path / "share"
    (share / "run").mkdir(parents=True)
    (share / "scene.tif").touch()
    (share / "ring").symlink_to("ring")
    return share


def test_what_there_is(share: Path) -> None:
    for name, answers in {
        "scene.tif": (True, True, False),
        "run": (True, False, True),
        "gone": (False, False, False),
        "gone/deeper": (False, False, False),
        "scene.tif/deeper": (False, False, False),
        "ring": (False, False, False),
        "null\0": (False, False, False),
    }.items():
        for path in (share / name, f"{share}/{name}"):
            assert tuple(ask(path) for ask in ASK) == answers, name


@pytest.mark.parametrize("number", [errno.EHOSTDOWN, errno.ESTALE, errno.EACCES, errno.EIO])
def test_what_nobody_can_tell(number: int, share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disconnect(share, monkeypatch, number)
    for ask in ASK:
        for name in ("scene.tif", "gone"):
            with pytest.raises(OSError, match=os.strerror(number)) as caught:
                ask(share / name)
            assert os.strerror(number) in str(system_error(caught.value))


def test_a_share_of_windows(share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python says of it, too, that there is no such file."""
    codes = {53: "cannot reach", 21: "does not exist"}
    for code, what in codes.items():
        error = FileNotFoundError(errno.ENOENT, "as Windows says it", "x")
        error.winerror = code  # type: ignore[misc, attr-defined]

        def refuse(*_: object, error: OSError = error, **__: object) -> None:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(Path, "stat", refuse)
            patched.setattr(presence, "where_instead", lambda _: "")
            with pytest.raises(SourceError, match=what):
                check_exists("x", SourceError)


def test_what_is_missing_is_told_from_what_is_away(
    share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_exists(share / "scene.tif", SourceError)
    with pytest.raises(SourceError, match=r"^mask: .*scene\.tiff does not exist; did you mean"):
        check_exists(share / "scene.tiff", SourceError, "mask")
    (share / "link.tif").symlink_to("away/scene.tif")
    with pytest.raises(
        SourceError, match=r"link\.tif is a link to away/scene\.tif, where there is"
    ):
        check_exists(share / "link.tif", SourceError)
    with pytest.raises(
        SourceError, match="ring is a link to ring, where there is nothing; correct"
    ):
        check_exists(share / "ring", SourceError)
    disconnect(share, monkeypatch)
    reason = f"{os.strerror(errno.EHOSTDOWN)}; check that its drive or share is connected"
    for name in ("scene.tif", "scene.tiff"):
        with pytest.raises(SourceError) as caught:
            check_exists(share / name, SourceError, "mask")
        assert str(caught.value) == f"mask: cannot reach {share / name}: {reason}"


def test_what_is_lost_is_told_from_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    for error in (
        FileNotFoundError(errno.ENOENT, "gone", str(path)),
        OSError("no magic bytes"),  # as pyarrow says of a damaged file
        ValueError("not JSON"),
    ):
        check_not_refused(path, error)
    for number, what in ((errno.EACCES, "cannot read"), (errno.ENOTCONN, "cannot reach")):
        with pytest.raises(RunError, match=f"^{what} .*json: {os.strerror(number)}"):
            check_not_refused(path, OSError(number, "in a library's words"))


# Where an answer decides what is made, left out or said to be missing. The other folders look at
# what they read in any case, or where to write.
ROOMS = (
    *("batches", "concepts", "disk", "evaluation", "features", "labels", "models", "reporting"),
    *("run_folder", "verbs"),
)


@pytest.mark.parametrize("room", ROOMS)
def test_nobody_asks_pathlib_which_says_of_what_is_away_that_it_never_was(room: str) -> None:
    asked = []
    for path in sorted((Path(owl_geo.__file__).parent / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                method = node.func.attr in {"exists", "is_file", "is_dir", "isfile", "isdir"}
                asked += [f"{path}:{node.lineno}"] if method else []
    assert asked == []
