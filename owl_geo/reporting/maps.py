"""Maps of a scene in its own pixels: what was asked and answered, and what the model predicts.

A scene is drawn in the pixels of its file, mirrored where north would point down, and never warped;
so it does not matter what CRS it has, or that generated patches have no meaningful one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from owl_geo import schema
from owl_geo.maps.cells import cells_of, means
from owl_geo.maps.style import RAMP
from owl_geo.reporting.colours import Stretch, reads_down
from owl_geo.reporting.figures import drawing, figure, shortened
from owl_geo.reporting.scale_bar import draw_scale_bar
from owl_geo.reporting.survey import Survey
from owl_geo.types import FloatArray, IntArray, SceneGrid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 6.5  # inches
_LOWEST, _HIGHEST = 2.0, 9.0  # inches of the map itself
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
_OUTLINED = 7.0  # points; a patch at least this large is drawn as a square
_RANKED = 20  # most probable patches that are numbered, as in the report's table
_CELLS = 2000  # along an edge; larger rasters are thinned out
_RANK_SIZE = 8.0  # points
_BARE = "#D9D9D9"  # shown where there are no pixels

_Box = tuple[float, float, float, float]  # left, bottom, right, top


@dataclass(frozen=True)
class _Kind:
    """Patches that look the same on a map."""

    name: str
    colour: str
    marker: str
    positions: IntArray  # in the index
    is_hollow: bool = False  # they have no answer, so nothing lies inside the outline


def answers_map(survey: Survey, scene: str) -> Figure:
    """Draw a scene with its answers, coloured and shaped by label, and the unanswered patches."""
    with drawing():
        grid = survey.run.grids[scene]
        made, axes = _canvas(grid)
        _background(axes, survey, scene, grey=False)
        kinds = [kind for kind in _kinds(survey, scene) if len(kind.positions)]
        for kind in kinds:
            _draw(axes, survey, grid, kind)
        _finish(axes, survey, scene)
        if kinds:
            _legend(made, kinds)
            axes.set_title(shortened(scene, 60), loc="left")
        else:
            axes.set_title(f"{shortened(scene)}: nothing has been asked here yet", loc="left")
    return made


def likely_map(survey: Survey, scene: str) -> Figure:
    """Draw how probable a target is over a scene; the most probable of the run are numbered."""
    from matplotlib.colors import LinearSegmentedColormap

    with drawing():
        grid = survey.run.grids[scene]
        made, axes = _canvas(grid)
        _background(axes, survey, scene, grey=True)
        at = survey.of_scene(scene)
        at = at[survey.opinion.is_known[at]]
        if len(at):
            ramp = LinearSegmentedColormap.from_list("owl", list(RAMP))
            values, reach = _raster(survey, grid, at)
            shown = axes.imshow(
                np.ma.masked_invalid(values),
                extent=(0, reach[1], reach[0], 0),
                cmap=ramp,
                vmin=0,
                vmax=1,
                alpha=0.75,
                interpolation="nearest",
                aspect="equal",
            )
            made.colorbar(
                shown,
                ax=axes,
                orientation="horizontal",
                fraction=0.04,
                pad=0.02,
                label=f"probability of {shortened(survey.run.settings.positive)}",
            )
            _number(axes, survey, scene)
        _finish(axes, survey, scene)
        note = "" if len(at) else ": the model has not scored this scene"
        axes.set_title(f"{shortened(scene)}{note}", loc="left")
    return made


def _canvas(grid: SceneGrid) -> tuple[Figure, Axes]:
    height = float(np.clip(_WIDTH * grid.height / grid.width, _LOWEST, _HIGHEST))
    return figure(_WIDTH, height + 0.9)


def _background(axes: Axes, survey: Survey, scene: str, *, grey: bool) -> None:
    """Show the quicklook, or say that there is none."""
    grid = survey.run.grids[scene]
    look = survey.quicklook(scene)
    axes.set_facecolor(_BARE)
    if look is None:
        middle = grid.width / 2, grid.height / 2
        axes.text(*middle, "the scene cannot be read", ha="center", va="center", color="#333333")
        return
    image = Stretch.of_pixels(look.values).to_rgb(look.values, (0, 1, 2))
    image[~np.isfinite(look.values).all(axis=0)] = 0xD9
    if grey:
        levels = image.mean(axis=2, keepdims=True)
        image = np.broadcast_to((levels * 0.8 + 40).astype(np.uint8), image.shape)
    axes.imshow(
        image,
        extent=(0, grid.width, grid.height, 0),
        interpolation="antialiased",
        aspect="equal",
    )


def _kinds(survey: Survey, scene: str) -> Iterator[_Kind]:
    """Yield what is drawn, from bottom to top: the class that is searched for comes last."""
    settings = survey.run.settings
    colours = schema.label_colours(settings.classes)
    at = survey.positions([str(name) for name in survey.labels.index])
    here = (survey.run.patches["scene"].iloc[at] == scene).to_numpy()
    at, labels = at[here], survey.labels.to_numpy(dtype=object)[here]
    markers = {
        name: _MARKERS[number % len(_MARKERS)] for number, name in enumerate(settings.classes)
    } | {schema.UNSURE: "*", schema.SKIP: "x"}
    others = (schema.SKIP, schema.UNSURE, *settings.classes)
    for name in sorted(others, key=lambda name: name == settings.positive):
        yield _Kind(name, colours[name], markers[name], at[labels == name])
    for title, ids, marker, is_hollow in (
        ("disputed", survey.disputed, "d", False),
        ("of the last batch, not answered", survey.waiting, "s", True),
    ):
        open_ = survey.positions(list(ids))
        in_scene = (survey.run.patches["scene"].iloc[open_] == scene).to_numpy()
        yield _Kind(title, "#FFFFFF", marker, open_[in_scene], is_hollow)


def _draw(axes: Axes, survey: Survey, grid: SceneGrid, kind: _Kind) -> None:
    """Draw a mark on each patch, and its outline where it is large enough to see."""
    from matplotlib.collections import PolyCollection

    size = survey.run.settings.patch_size
    windows = survey.run.index.windows.take(kind.positions)
    top, left = windows.row_off.astype(float), windows.col_off.astype(float)
    edge = _WIDTH * 72 * size / grid.width  # points on paper
    if edge >= _OUTLINED:
        x = left[:, None] + np.array([0, size, size, 0])
        y = top[:, None] + np.array([0, 0, size, size])
        squares = np.stack([x, y], axis=-1)
        for width, colour in ((2.6, "#000000"), (1.3, kind.colour)):
            axes.add_collection(
                PolyCollection(
                    list(squares), facecolors="none", edgecolors=colour, linewidths=width
                )
            )
    if kind.is_hollow and edge >= _OUTLINED:
        return
    mark = float(np.clip(0.45 * edge, 3.6, 6.5))
    x, y = left + size / 2, top + size / 2
    if kind.marker == "x" or kind.is_hollow:
        _mark(axes, x, y, kind.marker, mark, "none", "#000000", 2.8)
        _mark(axes, x, y, kind.marker, mark, "none", kind.colour, 1.3)
    else:
        _mark(axes, x, y, kind.marker, mark, kind.colour, "#000000", 0.7)


def _mark(
    axes: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    marker: str,
    size: float,
    fill: str,
    edge: str,
    width: float,
) -> None:
    axes.plot(
        x,
        y,
        linestyle="none",
        marker=marker,
        markersize=size,
        markerfacecolor=fill,
        markeredgecolor=edge,
        markeredgewidth=width,
    )


def _legend(made: Figure, kinds: list[_Kind]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for kind in reversed(kinds):
        bare = kind.marker == "x"
        handles.append(
            Line2D(
                [],
                [],
                linestyle="none",
                marker=kind.marker,
                markersize=8,
                markerfacecolor=kind.colour,
                markeredgecolor=kind.colour if bare else "#000000",
                markeredgewidth=2 if bare else 1,
                label=f"{len(kind.positions):,} {shortened(kind.name)}",
            )
        )
    made.legend(
        handles=handles,
        loc="outside lower left",
        ncols=2 if max(len(kind.name) for kind in kinds) > 12 else 4,
        frameon=False,
    )


def _raster(
    survey: Survey, grid: SceneGrid, at: IntArray
) -> tuple[FloatArray, tuple[float, float]]:
    """Return the probabilities as a raster, and how many pixels of the scene it spans."""
    cells = cells_of(survey.run.index.windows.take(at).of_scene(grid.name))
    every = -(-max(cells.grid.height, cells.grid.width) // _CELLS)
    parts = []
    for first, part in means(cells, survey.opinion.probability[at][:, None]):
        parts.append(part[0, -first % every :: every, ::every].astype(np.float32))
    reach = cells.grid.height * cells.edge, cells.grid.width * cells.edge
    return np.concatenate(parts), reach


def _number(axes: Axes, survey: Survey, scene: str) -> None:
    """Write the rank beside each of the most probable unanswered patches."""
    from matplotlib.patheffects import withStroke

    at = survey.most_probable(_RANKED)
    ranks = 1 + np.flatnonzero((survey.run.patches["scene"].iloc[at] == scene).to_numpy())
    grid, size = survey.run.grids[scene], survey.run.settings.patch_size
    windows = survey.run.index.windows.take(at[ranks - 1])
    middle = np.stack([windows.col_off, windows.row_off]).astype(np.float64) + size / 2
    x, y = middle
    for width, colour in ((3.0, "#FFFFFF"), (1.2, "#000000")):  # seen on dark and on bright
        _mark(axes, x, y, "s", 5.0, "none", colour, width)
    down, right = reads_down(grid)
    scale = 72 * min(_WIDTH / grid.width, _HIGHEST / grid.height)  # points per pixel
    points = scale * np.stack([x if right else -x, -y if down else y], axis=1)
    wide, high = scale * grid.width, scale * grid.height
    frame = (0 if right else -wide, -high if down else 0, wide if right else 0, 0 if down else high)
    for rank, place, offset in zip(ranks, middle.T, _beside(points, ranks, frame), strict=True):
        axes.annotate(
            str(rank),
            place,
            xytext=offset,
            textcoords="offset points",
            fontsize=_RANK_SIZE,
            color="#000000",
            path_effects=[withStroke(linewidth=2, foreground="#FFFFFF")],
            annotation_clip=True,
        )


def _beside(
    marks: NDArray[np.float64], numbers: IntArray, frame: _Box
) -> list[tuple[float, float]]:
    """Return where numbers are written, from their marks, so that as few as can be overlap.

    ``marks`` are ``(n, 2)``, and ``frame`` is that of the map, in points to the right and up. Each
    number, in turn, takes the first corner or side of its mark where it covers the least of marks,
    of numbers before it, and of what lies beyond the frame.
    """
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y in marks.tolist()]
    offsets = []
    for (x, y), number in zip(marks.tolist(), numbers.tolist(), strict=True):
        wide, high = 0.65 * _RANK_SIZE * len(str(number)), 0.8 * _RANK_SIZE
        left, below = -4 - wide, -3 - high
        middle = -wide / 2
        free = [(4, 2), (left, 2), (middle, 5), (middle, below - 2), (4, below), (left, below)]
        boxes = [(x + dx, y + dy, x + dx + wide, y + dy + high) for dx, dy in free]
        beyond = [wide * high - _overlap(box, frame) for box in boxes]
        covered = [
            round(sum(_overlap(box, other) for other in taken) + out, 6)  # a tie is a tie
            for box, out in zip(boxes, beyond, strict=True)
        ]
        best = covered.index(min(covered))
        taken.append(boxes[best])
        offsets.append(free[best])
    return offsets


def _overlap(one: _Box, other: _Box) -> float:
    """Return the area that two boxes share."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    along = min(one[3], other[3]) - max(one[1], other[1])
    return max(across, 0.0) * max(along, 0.0)


def _finish(axes: Axes, survey: Survey, scene: str) -> None:
    """Set the limits so that north is up, as far as mirroring allows, and draw a scale bar."""
    grid = survey.run.grids[scene]
    down, right = reads_down(grid)
    axes.set_xlim((0, grid.width) if right else (grid.width, 0))
    axes.set_ylim((grid.height, 0) if down else (0, grid.height))
    axes.set_xticks([])
    axes.set_yticks([])
    if survey.run.settings.source.is_on_earth:
        draw_scale_bar(axes, grid)
