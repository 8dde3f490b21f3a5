"""Folders and files that appear whole or not at all, and disk errors as one line."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from owl_geo.disk.presence import exists, is_dir, is_file
from owl_geo.errors import NO_ROOM, BatchError, BusyError, RunError, closing_it, no_access


@contextmanager
def writing_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a folder beside ``target`` to fill, then rename it; clean up after any error.

    What is replaced stays, or comes back, unless the new folder is in its place. Raises RunError.
    """
    with disk_errors(target):
        target = Path(os.path.realpath(target))  # a link to a folder leads to that folder
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{target.name}.partial-"
        partial, old = (target.with_name(prefix + secrets.token_hex(4)) for _ in range(2))
        for left_over in [p for p in target.parent.iterdir() if p.name.startswith(prefix)]:
            with suppress(FileNotFoundError):  # another process was faster
                # from a process that was killed; or it is at work, and puts it in place just now:
                # under another name, it is not taken apart there
                shutil.rmtree(left_over.rename(target.with_name(prefix + secrets.token_hex(4))))
        partial.mkdir()
        try:
            with room_for(partial):
                yield partial
            _flush(partial)
            if replace and exists(target):
                target.rename(old)
                try:
                    partial.rename(target)
                except BaseException:
                    old.rename(target)
                    raise
                _flush_names(target.parent)
                shutil.rmtree(old, ignore_errors=True)  # if not now, then the next time
            else:
                if is_dir(target) and not any(target.iterdir()):
                    target.rmdir()
                partial.rename(target)
                _flush_names(target.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


@contextmanager
def replacing_files(folder: Path, waiting: str) -> Iterator[Path]:
    """Yield a folder within ``folder`` to fill with files that replace those of the same names.

    All of them are replaced or none: when the block ends, the folder is renamed to ``waiting``, and
    from then on ``finish_replacing`` moves the files into place, even after a process was killed.
    """
    with disk_errors(folder):
        partial = folder / f"{waiting}.partial"
        shutil.rmtree(partial, ignore_errors=True)  # from a process that was killed
        partial.mkdir()
        try:
            with room_for(partial):
                yield partial
            _flush(partial)
            partial.rename(folder / waiting)
            _flush_names(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    finish_replacing(folder, waiting)


def finish_replacing(folder: Path, waiting: str) -> None:
    """Move the waiting files into place; those that were moved before stay.

    Raises RunError if that is not possible now; it may be tried again.
    """
    if not is_dir(folder / waiting):
        return
    try:
        for file in sorted((folder / waiting).iterdir()):
            file.replace(folder / file.name)
        _flush_names(folder)
        (folder / waiting).rmdir()
    except OSError as error:
        reason = error.strerror or str(error)
        again = closing_it(error) or "run a command on it again"
        raise RunError(
            f"cannot write {error.filename2 or folder}: {reason}; the new files are complete, but "
            "not all in place",
            remedy=f"{again}, which moves the rest",
        ) from error


@contextmanager
def writing_file(target: Path, *, shared: bool = False, parents: bool = True) -> Iterator[Path]:
    """Yield a hidden path beside ``target`` to write to, then rename it, replacing any old file.

    The suffix is the target's, because GDAL derives the format from it. Processes write a file by
    turns, and the last one has it. With ``shared``, several processes and threads may write the
    same file at once: each writes its own, and ``clear_partials`` removes what a killed one leaves.
    Without ``parents``, the folder is made if need be, but not those around it: a run is not made
    again where it was moved or deleted. Raises RunError if the disk is full or the folder cannot be
    written, and BusyError if another process is at it for too long.
    """
    with disk_errors(target), nullcontext() if shared else _turn(target):
        target.parent.mkdir(parents=parents, exist_ok=True)
        mark = f"{_SHARED}{os.getpid()}-{threading.get_ident()}" if shared else ""
        partial = target.with_name(f".{target.stem}.partial{mark}{target.suffix}")
        partial.unlink(missing_ok=True)
        try:
            with room_for(target.parent):
                yield partial
            flush(partial)
            partial.replace(target)
            _flush_names(target.parent)
        except BaseException as error:
            partial.unlink(missing_ok=True)
            if shared and isinstance(error, FileNotFoundError) and exists(target):
                return  # another process has written the target, and removed our file
            raise


_SHARED = "-of-"
_LONGEST = 600.0  # seconds to wait for another process


@contextmanager
def _turn(target: Path) -> Iterator[None]:
    """Wait until no other process of this machine writes a file.

    The lock lies with the temporary files, so that nothing of a killed process stands beside the
    target, and goes when the file is written.
    """
    from filelock import FileLock, Timeout

    place = hashlib.sha256(os.fsencode(os.path.realpath(target))).hexdigest()[:16]
    lock_file = Path(tempfile.gettempdir()) / f"owl-geo-{place}.lock"
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=_LONGEST)
    except Timeout as error:
        raise BusyError(
            f"another command is writing {target}", remedy="wait until it is done"
        ) from error
    except (OSError, NotImplementedError):  # of another user, or where nothing can be locked
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps what is open, and filelock removes it there
            lock_file.unlink()
        lock.release()


def clear_partials(folder: Path) -> None:
    """Remove unfinished ``shared`` files of killed processes if the target exists by now."""
    for path in folder.glob(f".*.partial{_SHARED}*"):
        stem = path.name[1:].rpartition(f".partial{_SHARED}")[0]
        if exists(folder / f"{stem}{path.suffix}"):
            with suppress(OSError):
                path.unlink()


def check_free(files: Iterable[Path]) -> None:
    """Raise RunError where a file cannot be replaced; one that does not exist can.

    Windows keeps what another program has open. Ask before the first of several is replaced, or
    where it takes long until then. Nothing is changed: each file gets the name that it has.
    """
    for file in files:
        with disk_errors(file), suppress(FileNotFoundError):
            file.rename(file)


# of a file: when it was written, its size, and the number under which the disk keeps it
FileState = tuple[int, int, int] | None


def file_state(path: Path) -> FileState:
    """Return what changes when another file is put in a file's place; None if there is none."""
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def check_still_there(folder: Path) -> None:
    """Raise RunError where a folder is gone that was there before: who writes would make it again.

    What is in it would then be in two places, and the folder could not be put back. Where it cannot
    be reached, that is said.
    """
    try:
        is_there = is_dir(folder)
    except OSError as error:
        fault = no_access(folder, error)
        raise RunError(fault.what, remedy=fault.remedy) from error
    if not is_there:
        raise RunError(
            f"{folder} is gone: it was moved or deleted while owl-geo was working on it",
            remedy="run the command again where it is now",
        )


def check_space(folder: Path, n: int) -> None:
    """Raise OSError if the disk has fewer than ``n`` bytes left, before writing a large file."""
    if shutil.disk_usage(folder).free < n:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


_BLOCK = 2**20  # bytes


@contextmanager
def room_for(folder: Path, n: int = _BLOCK) -> Iterator[None]:
    """Raise the system's own OSError where a library fails because a folder has no room for more.

    Libraries have words of their own for that, or end with some mishap that follows from it. Where
    they give no number of an error, ``n`` bytes are written to the folder, because a quota or the
    largest size of a file leaves less room than the disk has.
    """
    try:
        yield
    except (OSError, BatchError, RuntimeError, sqlite3.Error) as error:
        root = _root(error)
        if not isinstance(root, OSError) or root.errno is None:
            _check_room(folder, n)
        raise


def check_end(file: Path) -> None:
    """Raise OSError where a file that a library wrote cannot grow, so that its end may be missing.

    GDAL does not tell of an error in the last bytes, which it writes as it closes some formats.
    """
    size = file.stat().st_size
    with file.open("r+b") as handle:
        handle.seek(size)
        handle.write(bytes(_BLOCK))
        handle.flush()
        os.fsync(handle.fileno())
        handle.truncate(size)


def _check_room(folder: Path, n: int) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for begin in range(0, n, _BLOCK):
                file.write(bytes(min(_BLOCK, n - begin)))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in NO_ROOM:
            raise


def flush(file: Path) -> None:
    """Force a file to the disk; raises OSError."""
    with file.open("r+b") as handle:  # Windows flushes only files that are open for writing
        os.fsync(handle.fileno())


def _flush(folder: Path) -> None:
    """Force a folder's files to the disk before the folder is renamed."""
    for path in folder.rglob("*"):
        if is_file(path):
            flush(path)
        else:
            _flush_names(path)
    _flush_names(folder)


def _flush_names(folder: Path) -> None:
    """Force the names in a folder to the disk, where the system can."""
    if os.name == "nt":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network drives cannot
            raise
    finally:
        os.close(number)


_held: set[str] = set()  # locks of this process, which keep it out itself if they are taken again
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def locked(lock_file: Path, busy: BusyError) -> Iterator[None]:
    """Keep other processes out with a lock on a file; it ends with this process.

    Raises ``busy`` if another process holds the lock, and RunError if the drive does not support
    locks.
    """
    from filelock import FileLock, Timeout  # which commands that lock nothing need not load

    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise busy from error
    except (OSError, NotImplementedError) as error:
        if isinstance(error, NotImplementedError) or error.errno in _NO_LOCKS:
            raise RunError(
                f"{lock_file.parent} is on a drive that cannot lock files, so that two commands "
                "could spoil each other's work",
                remedy="move it to another drive, for example a local one",
            ) from error
        reason = error.strerror or error
        raise RunError(f"cannot write {lock_file.parent}: {reason}") from error
    key = os.path.realpath(lock_file)
    _held.add(key)
    try:
        yield
    finally:
        _held.discard(key)
        lock.release()


def is_locked(lock_file: Path) -> bool:
    """Return whether another process holds a lock; False where nothing tells.

    It is taken for a moment to find out, so ask only where there is something to explain.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(lock_file)
    try:
        if os.path.realpath(lock_file) in _held or not exists(lock_file):
            return False
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False
    lock.release()
    return False


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a read-only folder or a name that libraries cannot write into one line."""
    try:
        yield
    except UnicodeEncodeError as error:
        if str(path).isprintable():
            raise
        raise RunError(
            f"cannot write {path}: its name is not text in UTF-8", remedy="choose another name"
        ) from error
    except (OSError, BatchError) as error:  # a BatchError names the temporary folder
        raise RunError(
            f"cannot write {path}: {_reason(error)} (nothing there was changed)",
            remedy=closing_it(_root(error)),
        ) from error


def _reason(error: BaseException) -> str:
    """Return the system's own message, without what libraries add to it."""
    error = _root(error)
    if isinstance(error, OSError) and error.errno is not None and error.errno in NO_ROOM:
        return os.strerror(error.errno)
    return getattr(error, "strerror", None) or str(error)


def _root(error: BaseException) -> BaseException:
    """Return the error that an error was raised from, and so on."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
