"""Whether patches of several scenes are of one size on the ground."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from owl_geo.ground.pixels import all_pixel_metres
from owl_geo.types import SceneGrid

_log = logging.getLogger("owl_geo")

_ALIKE = 1.25  # times an edge: the same pixels in degrees differ by less from tile to tile
_SHOWN = 3  # sizes that a message names


def warn_of_mixed_pixels(grids: Sequence[SceneGrid], patch_size: int) -> None:
    """Say it, once, where the pixels of scenes differ so much that their patches do."""
    edges = all_pixel_metres(grids).tolist()
    sizes: list[tuple[float, list[str]]] = []  # the smallest edge, and the scenes that are near it
    for edge, grid in sorted(zip(edges, grids, strict=True), key=lambda pair: pair[0]):
        if sizes and edge <= _ALIKE * sizes[-1][0]:
            sizes[-1][1].append(grid.name)
        else:
            sizes.append((edge, [grid.name]))
    if len(sizes) < 2:
        return
    shown = sizes if len(sizes) <= _SHOWN else [*sizes[: _SHOWN - 1], sizes[-1]]
    _log.warning(
        "the pixels of the scenes differ in size, %s, so that their patches of %d x %d pixels show "
        "%s of ground; resample the scenes to one pixel size, or make a run of each size",
        ", ".join(f"{edge:.3g} m in {_in_short(names)}" for edge, names in shown),
        patch_size,
        patch_size,
        " and ".join(f"{edge * patch_size:.3g} m" for edge, _ in (sizes[0], sizes[-1])),
    )


def _in_short(names: Sequence[str]) -> str:
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return f"{names[0]!r}{more}"
