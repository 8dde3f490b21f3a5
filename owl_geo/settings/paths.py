"""Paths as people write them in settings and options: on this file system, or elsewhere."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from owl_geo.errors import ConfigError
from owl_geo.settings.subdatasets import is_subdataset, with_file


def expanded(path: str) -> Path:
    """Return a path with a leading ~ resolved, where it stands for a home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # ~ and the name of an unknown user
        return Path(path)


def absolute(path: Path) -> Path:
    """Return an absolute path without ``.`` and ``..`` in it.

    A ``..`` behind a symbolic link is kept, since it leads elsewhere there.
    """
    whole = path.absolute()
    plain = os.path.normpath(whole)
    if ".." in whole.parts and os.path.realpath(plain) != os.path.realpath(whole):
        return whole
    return Path(plain)


def whole_path(path: str, folder: Path) -> str:
    """Return a path that starts at a folder made absolute, also that within a subdataset."""
    if is_local(path):
        return str(absolute(folder / expanded(path)))
    return with_file(path, lambda file: whole_path(file, folder))


def is_local(path: str) -> bool:
    """Return whether a path is on this file system, and not a URL or a name of GDAL's own."""
    return "://" not in path and not path.startswith("/vsi") and not is_subdataset(path)


def on_this_machine(path: str | os.PathLike[str]) -> Path:
    """Return the path of a run, or of what is written: never an address on a server.

    As a path, ``s3://bucket/run`` would be a folder named ``s3:`` in the folder one is in. Raises
    ConfigError for it.
    """
    text = os.fspath(path)
    if "://" in text:
        raise ConfigError(
            f"{text} is an address, and no path on this machine",
            remedy="name a path here, and copy what is there to it or from it",
        )
    return Path(text)


def path_at(address: str) -> str:
    """Return the path of a URL on its server, ``/a.tif`` of ``https://host/a.tif?key=1``.

    Anything else is returned as it is.
    """
    if "://" not in address:
        return address
    try:
        return urlsplit(address).path
    except ValueError:  # brackets around no IPv6 address, which whatever opens it refuses
        return re.sub(r"^[^/?#]*|[?#].*$", "", address.partition("://")[2])
