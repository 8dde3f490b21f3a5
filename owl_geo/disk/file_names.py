"""File names for scenes, which may be called anything."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_UNSAFE = re.compile(r"[^\w.+=-]")  # what some file system or shell does not accept, even ~
_LONGEST = 120  # bytes; file systems allow 255, and suffixes are added
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # on Windows


def file_names(scenes: Sequence[str]) -> dict[str, str]:
    """Return a file name without suffix for each scene, all different even if case is ignored.

    A plain name stays as it is; any other keeps its plain characters, followed by ``~`` and a
    digest of the whole name.
    """
    folded = Counter(_folded(name) for name in scenes)
    return {
        name: name if _is_plain(name) and folded[_folded(name)] == 1 else _hashed(name)
        for name in scenes
    }


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _is_plain(name: str) -> bool:
    return (
        not _UNSAFE.search(name)
        and unicodedata.is_normalized("NFC", name)
        and len(name.encode()) <= _LONGEST
        and not name.startswith((".", "-"))
        and not name.endswith(".")
        and not _DEVICES.fullmatch(name)
    )


def _hashed(name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    plain = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip(".-")
    short = plain.encode()[:_LONGEST].decode(errors="ignore")
    return f"{short}~{digest}"
