"""Text that other programs wrote: tables as CSV, lists; in which encoding it is."""

from __future__ import annotations

import codecs
from pathlib import Path

_LOOKED_AT = 4096  # bytes

# Those of UTF-32 first: one of them begins as one of UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class NotText(ValueError):
    """A file's bytes are no text that could be told; says what they may be, and what to do."""


def encoding_of(path: str | Path) -> str:
    """Return the encoding of a file that its byte-order mark tells, else UTF-8.

    Spreadsheets and PowerShell write UTF-16 with a mark. Raises OSError, and NotText where there is
    no mark but NUL bytes, as text in UTF-16 has them.
    """
    with Path(path).open("rb") as file:
        head = file.read(_LOOKED_AT)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        raise NotText(
            "it has NUL bytes, as text in UTF-16 without a byte-order mark does: save it in UTF-8"
        )
    return "utf-8"


def is_utf8(encoding: str) -> bool:
    """Return whether an encoding that ``encoding_of`` returned is UTF-8."""
    return encoding.startswith("utf-8")
