"""Which key of a Latin keyboard was pressed, where the layout has other characters on it."""

from __future__ import annotations

import unicodedata

from qgis.PyQt.QtGui import QGuiApplication, QKeyEvent

_LATIN_ENDS = 0x250  # Qt's codes of letters are Unicode's, up to its own keys
_OWN_KEYS = 0x01000000  # arrows, Return and the like
_DIGIT_0 = 0x30

# The letters at the codes of X11 and Wayland: Linux's own, and 8.
_ROWS = {24: "QWERTYUIOP", 38: "ASDFGHJKL", 52: "ZXCVBNM"}
_BY_CODE = {first + i: ord(letter) for first, row in _ROWS.items() for i, letter in enumerate(row)}
_CODE_OF_1 = 10  # in the top row, the digits to 9 follow


def key_of_event(event: QKeyEvent) -> int:
    """Return Qt's code of a key, or that of the letter or digit that it stands for.

    A keyboard in Cyrillic, Greek or Arabic has the letters of the Latin one on the same keys.
    """
    key = int(event.key())
    if not _LATIN_ENDS <= key < _OWN_KEYS:
        return key
    digit = unicodedata.decimal(chr(key), None) if key <= 0x10FFFF else None
    if digit is not None:
        return _DIGIT_0 + digit
    platform = QGuiApplication.platformName()
    if platform == "windows":  # whose virtual keys are named by the Latin letters
        virtual = int(event.nativeVirtualKey())
        return virtual if ord("A") <= virtual <= ord("Z") else key
    if platform in ("xcb", "wayland"):
        return _BY_CODE.get(int(event.nativeScanCode()), key)
    return key


def digit_of_place(event: QKeyEvent) -> int:
    """Return Qt's code of the digit, 1 to 9, whose key was pressed in the top row; 0 for others.

    French, Czech and many other keyboards have these digits on Shift, and ``é``, ``ě`` or ``-``
    without it. macOS does not say which key it was in a way that is the same for all keyboards.
    """
    platform = QGuiApplication.platformName()
    if platform == "windows":  # whose virtual keys there are the digits, on such keyboards as well
        digit = int(event.nativeVirtualKey()) - _DIGIT_0
    elif platform in ("xcb", "wayland"):
        digit = int(event.nativeScanCode()) - _CODE_OF_1 + 1
    else:
        return 0
    return _DIGIT_0 + digit if 1 <= digit <= 9 else 0
