"""What is known about a run before it is made: its patches, a suitable patch size, disk and time.

Only headers are read, not pixels, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from owl_geo.concepts.layers import check_layer
from owl_geo.concepts.osm_files import SUFFIXES, is_osm
from owl_geo.disk.presence import check_exists
from owl_geo.errors import LayerError, OwlError
from owl_geo.ground.crs import crs_of
from owl_geo.ground.pixels import all_pixel_metres
from owl_geo.run_folder import setup as run_setup
from owl_geo.settings import owl_toml
from owl_geo.settings.class_names import check_new_classes
from owl_geo.settings.config import Settings
from owl_geo.settings.paths import is_local
from owl_geo.settings.sources import SourceSection
from owl_geo.sources import unopened_source
from owl_geo.sources.band_wording import explained
from owl_geo.sources.unopened import Sample
from owl_geo.sources.views.measuring import check_ground, described_view
from owl_geo.sources.views.opening import bands_of, open_views
from owl_geo.types import EMBEDDING, SceneGrid
from owl_geo.verbs.same_ground import places_of_each
from owl_geo.wording import counted

_USUAL = 32
_SMALLEST, _LARGEST = 16, 64
_FEWEST = 100  # patches that are worth searching, ten a side
_FINE, _COARSE = 5.0, 30.0  # metres per pixel between which 32 pixels span 160 to 960 m
_PLACE = 80.0  # metres of a place in an embedding
_MOST_VECTORS = 8  # pixels a side whose vectors have a mean that still tells of something

# Measured on two processors without a GPU, with pools of 10,000 to a million patches of 32 x 32
# pixels in four bands and four concepts from a layer (benchmarks/pool.py): seconds at the start,
# and seconds per patch or per pixel value.
_INIT = (2.0, 33e-6)
_FIRST_QUERY = (6.5, 12e-9)
_PREDICT = (5.0, 12e-6)
_ROUND_BYTES = 400_000  # a batch and a model
_INDEX_BYTES = 60  # per patch: its row in the index, and in the predictions


@dataclass(frozen=True)
class PatchSize:
    """A patch size that suits the scenes, and the reason."""

    pixels: int
    why: str


@dataclass(frozen=True)
class Preview:
    """A run that has not been made yet."""

    grids: Mapping[str, SceneGrid]
    bands: tuple[str, ...]
    explained: str  # the bands, with what each is where its name does not say so
    places: Mapping[str, tuple[int, int]]  # that each scene gives, and that others give instead
    n_patches: int  # at most, since clouds and missing data are not looked for
    patch_size: int
    n_bytes: int  # approximate size of the run folder after the planned rounds
    seconds: Mapping[str, float]  # approximate, by command
    views: Mapping[str, str]  # how many bands and scenes each view has, by name


def preview(path: Path, settings: Settings, *, overwrite: bool = False) -> Preview:
    """Return what ``init`` would do with the same arguments.

    Raises ConfigError, SourceError, LayerError or RunError where ``init`` is certain to fail.
    """
    settings = owl_toml.from_folder(settings, Path.cwd())
    run_setup.check_free(path, overwrite=overwrite)
    check_new_classes(settings.classes)
    _check_layers(settings)
    views = open_views(settings.views)
    described = unopened_source(settings.source)
    source = described.open()
    source.check_bands(settings.oracle.path if settings.oracle else None)
    check_ground(views, source.grids)
    grids, size = source.grids, source.patch_size
    of_views = [band for view in views for band in bands_of(view, source.known_bands)]
    n_bands = len(source.bands) + len(of_views)
    windows = described.windows(source)
    places = places_of_each(windows, described.same_ground, source.dates)
    count = sum(n for n, _ in places.values())
    values = count * n_bands * size**2
    dimensions = sum(band.common == EMBEDDING for band in source.known_bands)
    n_plain = n_bands - dimensions
    features = 4 * (dimensions + 10 * n_plain + min(n_plain * (n_plain - 1) // 2, 15))
    seconds = {
        "init": _INIT[0] + count * _INIT[1],
        "first query": _FIRST_QUERY[0] + values * _FIRST_QUERY[1],
        "predict": _PREDICT[0] + count * _PREDICT[1],
    }
    return Preview(
        grids=grids,
        bands=source.bands,
        explained=explained(source.known_bands),
        places=places,
        n_patches=count,
        patch_size=size,
        n_bytes=count * (features + _INDEX_BYTES) + (settings.loop.rounds + 1) * _ROUND_BYTES,
        seconds=seconds,
        views={view.name: described_view(view) for view in views},
    )


def _check_layers(settings: Settings) -> None:
    """Raise LayerError for a layer, a raster or a truth whose file is missing.

    And for a file without the layer that a concept is about, of which no feature is read.
    """
    for setting, path in settings.named_files("layers", "concepts", "oracle"):
        if is_local(path):
            check_exists(path, LayerError, setting.rpartition(".")[0])
    used = {getattr(concept, "layer", None) for concept in settings.concepts.values()}
    for name, layer in settings.layers.items():
        if name in used and is_local(layer.path) and not is_osm(layer.path):
            check_layer(layer)


def suitable_patch_size(source: SourceSection) -> PatchSize | None:
    """Return 32 pixels, or a size that suits the source better; scenes are opened for their grids.

    The size is 32 for pixels of 5 to 30 m, 64 for finer ones and 16 for coarser ones. It is also 16
    where the pool would otherwise have fewer than a hundred patches. Of an embedding, it is 1 to 8.
    Returns None where the source has a patch size of its own, or nothing can be opened: whoever
    opens it next reports why.
    """
    try:
        sample = unopened_source(source).sample()
    except OwlError:
        return None
    grids = sample.grids
    if not grids:
        return None
    sizes = all_pixel_metres(grids).tolist()
    metres = median(sizes)
    if sample.are_embeddings:
        return _of_embedding(sample, metres)
    size = _USUAL if _FINE <= metres <= _COARSE else _LARGEST if metres < _FINE else _SMALLEST
    n = _patches(grids, size) * sample.n_scenes / len(grids)
    if n < _FEWEST and size > _SMALLEST:
        return PatchSize(_SMALLEST, f"since {size} would give only {counted(round(n), 'patch')}")
    least, most = length(min(sizes)), length(max(sizes))
    return PatchSize(size, f"for pixels of {least if least == most else f'{least} to {most}'}")


def _of_embedding(sample: Sample, metres: float) -> PatchSize:
    """Return a size for pixels that say by themselves what is around them."""
    size = int(np.clip(_PLACE // metres, 1, _MOST_VECTORS))
    while size > 1 and _patches(sample.grids, size) * sample.n_scenes < _FEWEST * len(sample.grids):
        size //= 2
    return PatchSize(
        size,
        f"for an embedding with pixels of {length(metres)}, each of which tells of its "
        f"surroundings; 1 to {_MOST_VECTORS} are sensible",
    )


def _patches(grids: Sequence[SceneGrid], size: int) -> int:
    return sum((grid.height // size) * (grid.width // size) for grid in grids)


def length(metres: float) -> str:
    """Return a length for people to read: ``10 m``, ``0.5 m``, ``1.2 km``."""
    if metres >= 1000:
        return f"{metres / 1000:.3g} km"
    return f"{metres:.3g} m"


def unit_note(grids: Mapping[str, SceneGrid]) -> str:
    """Return a note where a CRS is not in metres, which is fine; empty where all are."""
    for grid in grids.values():
        crs = crs_of(grid.crs)
        if crs.is_geographic:
            return "the CRS is in degrees, which is fine; distances are measured on the ground"
        if crs.axis_info and crs.axis_info[0].unit_conversion_factor not in (1.0, 0.0):
            unit = crs.axis_info[0].unit_name
            return f"the CRS is in {unit}, which is fine; distances are measured in metres"
    return ""


def osm_beside(scene: Path) -> Path | None:
    """Return the first OSM extract in the folder of a scene, by name."""
    try:
        beside = sorted(scene.absolute().parent.iterdir())
    except OSError:
        return None
    return next((path for path in beside if path.name.lower().endswith(SUFFIXES)), None)
