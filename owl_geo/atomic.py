"""Folders that appear whole or not at all, and disks that are full, as one line."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from owl_geo.errors import RunError


@contextmanager
def writing_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a folder beside ``target`` to fill, then rename it into place; clean up on any error."""
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{target.name}.partial-"
        for left_over in [p for p in target.parent.iterdir() if p.name.startswith(prefix)]:
            shutil.rmtree(left_over)  # of a process that was killed
        partial = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        try:
            yield partial
            partial.chmod(0o755)
            _flush(partial)
            if replace and target.exists():
                old = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent)) / target.name
                target.rename(old)
                partial.rename(target)
                shutil.rmtree(old.parent)
            else:
                if target.is_dir() and not any(target.iterdir()):
                    target.rmdir()
                partial.rename(target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _flush(folder: Path) -> None:
    """Force a folder's files to the disk before it gets its name."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a read-only folder into one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(f"cannot write {path}: {reason}; nothing was changed") from error
