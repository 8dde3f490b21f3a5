"""Folders and files that appear whole or not at all, and disks that are full, as one line."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from owl_geo.errors import BatchError, RunError


@contextmanager
def writing_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a folder beside ``target`` to fill, then rename it into place; clean up on any error."""
    with disk_errors(target):
        target = target.resolve()  # a link to a folder leads to that folder
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{target.name}.partial-"
        for left_over in [p for p in target.parent.iterdir() if p.name.startswith(prefix)]:
            shutil.rmtree(left_over)  # of a process that was killed
        partial, old = (target.with_name(prefix + secrets.token_hex(4)) for _ in range(2))
        partial.mkdir()
        try:
            yield partial
            _flush(partial)
            if replace and target.exists():
                target.rename(old)
                partial.rename(target)
                shutil.rmtree(old)
            else:
                if target.is_dir() and not any(target.iterdir()):
                    target.rmdir()
                partial.rename(target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


@contextmanager
def replacing_files(folder: Path, waiting: str) -> Iterator[Path]:
    """Give a folder within ``folder`` to fill with files that replace those of their names.

    All of them or none: when the block ends the new files get the name ``waiting``, and from then
    on ``finish_replacing`` brings them to their places, now or after a process was killed.
    """
    with disk_errors(folder):
        partial = folder / f"{waiting}.partial"
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
        partial.mkdir()
        try:
            yield partial
            _flush(partial)
            partial.rename(folder / waiting)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    finish_replacing(folder, waiting)


def finish_replacing(folder: Path, waiting: str) -> None:
    """Move the files that wait into their places; those that are there already stay.

    Raises RunError where that is not possible now; it may be tried again.
    """
    if not (folder / waiting).is_dir():
        return
    try:
        for file in sorted((folder / waiting).iterdir()):
            file.replace(folder / file.name)
        (folder / waiting).rmdir()
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(
            f"cannot write {folder}: {reason}; the next command there will try again"
        ) from error


@contextmanager
def writing_file(target: Path) -> Iterator[Path]:
    """Give a hidden path beside ``target`` to write to, then rename it, over what was there.

    The suffix is the target's, which tells GDAL the format. Raises RunError where the disk is full
    or the folder cannot be written.
    """
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.stem}.partial{target.suffix}")
        partial.unlink(missing_ok=True)
        try:
            yield partial
            with partial.open("rb") as handle:
                os.fsync(handle.fileno())
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def _flush(folder: Path) -> None:
    """Force a folder's files to the disk before it gets its name."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())


@contextmanager
def locked(lock_file: Path, busy: str) -> Iterator[None]:
    """Keep other processes out, by a file; the lock goes when this process does.

    Raises RunError, with the text ``busy`` where another process has it.
    """
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(busy) from error
    except OSError as error:
        reason = error.strerror or error
        raise RunError(f"cannot write {lock_file.parent}: {reason}") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a read-only folder into one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(f"cannot write {path}: {reason}; nothing was changed") from error
    except BatchError as error:  # a batch that could not be written, in a folder half made
        reason = str(error.__cause__ or error)
        raise RunError(f"cannot write {path}: {reason}; nothing was changed") from error
