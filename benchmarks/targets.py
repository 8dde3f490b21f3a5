"""Development targets: scenes of several sensors, and what is searched for on each.

North Carolina has land cover of every pixel, from which four targets are taken. Olinda, Lommel and
the cell of Major TOM have no truth of their own, so one is made from the imagery: k-means of the
logarithms of all bands, smoothed over 3 x 3 pixels, divides the pixels of a scene into ten classes.
The ``common`` target of a scene is the class that makes up a quarter of a patch in nearest to a
quarter of the patches, and the ``rare`` one that which makes up half of it in nearest to one of
fifty. Such classes are more alike in the bands than what people look for, so a search finds them
more easily; what they tell is how strategies compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from owl_geo.types import IntArray

NORTH_CAROLINA = {  # value in strata.tif, share of a patch that makes it a target
    "developed": ("1", "0.5"),
    "herbaceous": ("3", "0.5"),
    "shrubland": ("4", "0.5"),
    "water": ("6", "0.25"),
}
_SCENES = {  # folder of OWL_TEST_DATA, files with the bands, edge of a patch
    "olinda": (("L7_ETMs.tif",), 8),
    "lommel": (tuple(f"ref_input_S2_B{band}.tif" for band in ("02", "03", "04", "08")), 16),
    "majortom": (tuple(f"B{band}.tif" for band in ("02", "03", "04", "08")), 16),
}
_KINDS = {"common": (0.25, 0.25), "rare": (0.5, 0.02)}  # share of a patch, share of the patches
_CLASSES = 10
_NONE = 255
_SAMPLED = 50_000  # pixels that the classes are made of


@dataclass(frozen=True)
class Target:
    """What to search for, as arguments of ``owl-geo init``."""

    name: str
    arguments: tuple[str, ...]


def targets(data: Path, made: Path) -> Iterator[Target]:
    """Yield the targets of the scenes in ``data``; truths that are made go into ``made``.

    A scene that is not there is left out, with a line that says so.
    """
    scene = data / "north_carolina"
    if _is_there(scene):
        bands = ",".join(str(scene / f"lsat7_2000_{band}.tif") for band in (10, 20, 30, 40, 50))
        for name, (value, share) in NORTH_CAROLINA.items():
            yield _target(name, bands, 8, scene / "strata.tif", value, share)
    for folder, (files, edge) in _SCENES.items():
        scene = data / folder
        if not _is_there(scene):
            continue
        paths = [scene / file for file in files]
        truth = made / f"{folder}.tif"
        if not truth.exists():
            made.mkdir(parents=True, exist_ok=True)
            write_classes(paths, truth)
        for kind, (share, prevalence) in _KINDS.items():
            value = nearest(truth, edge, share, prevalence)
            bands = ",".join(map(str, paths))
            yield _target(f"{folder}-{kind}", bands, edge, truth, str(value), str(share))


def _is_there(scene: Path) -> bool:
    if not scene.is_dir():
        print(f"there is no {scene.name}/ in OWL_TEST_DATA: it is left out")
    return scene.is_dir()


def _target(name: str, bands: str, edge: int, truth: Path, value: str, share: str) -> Target:
    scene = ("--scene", f"scene={bands}", "--patch-size", str(edge))
    oracle = ("--oracle", str(truth), "--oracle-values", value, "--oracle-share", share)
    return Target(name, (*scene, *oracle))


def write_classes(paths: Sequence[Path], out: Path) -> None:
    """Write the class of each pixel of the bands in ``paths``, 0 to 9, as a raster of uint8."""
    from scipy.ndimage import uniform_filter
    from sklearn.cluster import KMeans

    bands, valid = [], None
    for path in paths:
        with rasterio.open(path) as raster:
            profile = raster.profile
            bands.extend(np.log1p(raster.read().astype(np.float64)))
            here = raster.dataset_mask() > 0
            valid = here if valid is None else valid & here
    assert valid is not None
    smooth = np.stack([uniform_filter(band, 3) for band in bands], axis=-1)
    pixels = smooth[valid]
    pixels = (pixels - pixels.mean(axis=0)) / pixels.std(axis=0)
    step = max(1, len(pixels) // _SAMPLED)
    means = KMeans(_CLASSES, n_init=3, random_state=0).fit(pixels[::step])
    classes = np.full(valid.shape, _NONE, dtype=np.uint8)
    classes[valid] = means.predict(pixels)
    profile = {name: profile[name] for name in ("crs", "transform", "width", "height")}
    with rasterio.open(
        out, "w", driver="GTiff", count=1, dtype="uint8", nodata=_NONE, **profile
    ) as raster:
        raster.write(classes, 1)


def nearest(truth: Path, edge: int, share: float, prevalence: float) -> int:
    """Return the class that makes up ``share`` of a patch in nearest to ``prevalence`` of them."""
    with rasterio.open(truth) as raster:
        shares = _shares(raster.read(1), edge)
    return int(np.abs((shares >= share).mean(axis=0) - prevalence).argmin())


def _shares(classes: NDArray[np.uint8], edge: int) -> NDArray[np.float64]:
    """Return the share of each class in each patch, ``(patches, classes)``."""
    rows, columns = (size // edge for size in classes.shape)
    squares = classes[: rows * edge, : columns * edge].reshape(rows, edge, columns, edge)
    patches: IntArray = squares.swapaxes(1, 2).reshape(rows * columns, -1).astype(np.int64)
    return np.stack([(patches == number).mean(axis=1) for number in range(_CLASSES)], axis=1)
