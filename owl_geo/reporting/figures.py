"""How figures are drawn and turned into files: without pyplot, and without timestamps."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 150
_JPEG_QUALITY = 88

Format = Literal["png", "svg", "jpg"]


@contextmanager
def drawing() -> Iterator[None]:
    """Draw names literally, dollar signs included, and ignore characters that no font has."""
    from matplotlib import rc_context

    plain = {
        "text.parse_math": False,
        "svg.hashsalt": "owl-geo",
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.edgecolor": "#555555",
    }
    with rc_context(plain), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure with one panel; ``width`` and ``height`` are in inches."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    return made, made.subplots()


def shortened(name: str, most: int = 32) -> str:
    """Return a name cut to ``most`` characters; the page beside the picture has it in full."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def rendered(picture: Figure, kind: Format) -> bytes:
    """Return the figure as a file; the same figure gives the same bytes."""
    file = io.BytesIO()
    options: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.08}
    if kind == "jpg":
        options["pil_kwargs"] = {"quality": _JPEG_QUALITY, "optimize": True}
    else:  # without the date and the program's version
        options["metadata"] = {"Date": None} if kind == "svg" else {"Software": None}
    with drawing():
        picture.savefig(file, format=kind, dpi=_DPI, facecolor="white", **options)
    return file.getvalue()
