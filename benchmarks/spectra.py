"""Which head learns best from spectra of a hundred bands, as of EnMAP, PRISMA or EMIT?

    python -m benchmarks.spectra [--seeds 10] [--jobs 2] [--heads blend,logistic]

A scene is generated whose pixels are mixtures of six materials in changing light, with noise, in
105 bands from 400 to 2,480 nm. Three of a hundred patches are targets: a quarter of each shows a
narrow absorption, deep or faint, a fifth of another material, or a texture, or it is among those
with most of one of the six. Prints what each head finds, and how well it ranks held-out patches,
with the differences from the first head on the same seeds and their 95 % t intervals. The scenes
are generated, so the numbers say which head to try first, and no more.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
from scipy import stats
from scipy.ndimage import gaussian_filter

from owl_geo import init
from owl_geo.evaluation.compare import compare
from owl_geo.evaluation.contestants import Contestant
from owl_geo.evaluation.searches import Plan
from owl_geo.types import AnyArray

SHOWN = (0.05, 0.1, 0.2)  # shares of the pool that are labelled
_EDGE, _PATCH, _PIXEL, _TARGETS = 512, 16, 30, 30
_WAVELENGTHS = np.arange(400, 2500, 20)  # nm
_MATERIALS = 6
_NOISE = 0.005  # reflectance
_TO_GRID = rasterio.Affine(_PIXEL, 0, 500_000, 0, -_PIXEL, 5_200_000)


def main() -> None:
    """Search each kind of target with each head and every seed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spectra")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--heads", default="blend,logistic")
    options = parser.parse_args()
    heads = options.heads.split(",")
    print(f"{'':<16}{heads[0]:>10}" + "".join(f"{head:>10}{'':<17}" for head in heads[1:]))
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            scene, truth = made(Path(folder), kind)
            for head in heads:
                init(Path(folder) / head, _settings(scene, truth, head))
            plan = Plan(
                folder=Path(folder) / "compared",
                runs={head: Path(folder) / head for head in heads},
                contestants=(Contestant("default"),),
                seeds=tuple(range(options.seeds)),
                budget=SHOWN[-1],
            )
            records = compare(plan, jobs=options.jobs)
        show(kind, records[records["strategy"] == "default"], heads)


def made(folder: Path, kind: str) -> tuple[Path, Path]:
    """Write a scene with targets of one kind, and where they are; return both paths."""
    rng = np.random.default_rng(0)
    lie = np.stack([gaussian_filter(rng.normal(size=(_EDGE, _EDGE)), 8) for _ in range(_MATERIALS)])
    shares = np.exp(1.5 * lie / lie.std())
    shares /= shares.sum(axis=0)
    spectra = np.stack([_spectrum(rng) for _ in range(_MATERIALS)])
    light = gaussian_filter(rng.normal(size=(_EDGE, _EDGE)), 20)
    side = _EDGE // _PATCH
    corners = rng.choice(side**2, _TARGETS, replace=False)
    if kind == "a material of the scene":
        means = shares[0].reshape(side, _PATCH, side, _PATCH).mean(axis=(1, 3))
        corners = np.argsort(means.ravel())[-_TARGETS:]
    pixels = np.einsum("mb,mrc->brc", spectra, shares) * (1 + 0.1 * light / light.std())
    other = _spectrum(rng)
    for corner in corners:
        row, column = (int(n) * _PATCH for n in divmod(corner, side))
        inner = np.s_[:, row + 4 : row + 12, column + 4 : column + 12]
        pixels[inner] = KINDS[kind](pixels[inner], other)
    pixels += rng.normal(scale=_NOISE, size=pixels.shape)
    scene, truth = folder / "scene.tif", folder / "truth.gpkg"
    profile = {"width": _EDGE, "height": _EDGE, "count": len(_WAVELENGTHS), "dtype": "uint16"}
    with rasterio.open(
        scene, "w", driver="GTiff", crs="EPSG:32632", transform=_TO_GRID, **profile
    ) as raster:
        raster.write((np.clip(pixels, 0, 6) * 10_000).astype(np.uint16))
        raster.descriptions = tuple(f"{nm} nm" for nm in _WAVELENGTHS)
    gpd.GeoDataFrame(geometry=[_square(*divmod(int(n), side)) for n in corners], crs=32632).to_file(
        truth
    )
    return scene, truth


def _spectrum(rng: np.random.Generator) -> AnyArray:
    """Return a smooth reflectance of a material, one value a band."""
    steps = gaussian_filter(rng.normal(size=len(_WAVELENGTHS)), 3)
    return np.asarray(0.1 + np.abs(np.cumsum(steps)) / 10)


def _absorbed(depth: float) -> AnyArray:
    dip = np.exp(-(((_WAVELENGTHS - 2200) / 25) ** 2) / 2)
    return np.asarray(1 - depth * dip)[:, None, None]


def _textured(pixels: AnyArray) -> AnyArray:
    stripes = np.where(np.arange(pixels.shape[2]) % 2, 1.08, 0.92)
    return np.asarray(pixels * stripes)


KINDS = {  # what becomes of the pixels in the middle of a target, given another material's spectrum
    "a deep absorption": lambda pixels, _: pixels * _absorbed(0.25),
    "a faint absorption": lambda pixels, _: pixels * _absorbed(0.1),
    "another material": lambda pixels, other: 0.8 * pixels + 0.2 * other[:, None, None],
    "a material of the scene": lambda pixels, _: pixels,
    "a texture": lambda pixels, _: _textured(pixels),
}


def _square(row: int, column: int) -> shapely.Polygon:
    left, top = _TO_GRID * (column * _PATCH, row * _PATCH)
    inset, edge = _PIXEL, _PATCH * _PIXEL
    return shapely.box(left + inset, top - edge + inset, left + edge - inset, top - inset)


def _settings(scene: Path, truth: Path, head: str) -> dict[str, object]:
    return {
        "source": {
            "kind": "geotiff",
            "scenes": [{"name": "scene", "path": str(scene)}],
            "patch_size": _PATCH,
        },
        "model": {"head": head},
        "oracle": {"path": str(truth), "min_share": 0.5},
    }


def show(kind: str, records: pd.DataFrame, heads: list[str]) -> None:
    """Print what is found and how well is ranked, and the differences from the first head."""
    pool = int(records["pool"].iloc[0])
    print(f"{kind}: {records['targets'].mean():.1f} of {pool} patches")
    for share in SHOWN:
        rows = records[records["n_labeled"] == _labels(records, share * pool)]
        _line(f"found, {share:.0%}", rows, "positives_found", heads)
    _line("held-out AUC", rows, "test_auc", heads)


def _labels(records: pd.DataFrame, wanted: float) -> int:
    counts = records["n_labeled"].unique()
    return int(counts[np.argmin(np.abs(counts - wanted))])


def _line(name: str, rows: pd.DataFrame, column: str, heads: list[str]) -> None:
    table = rows.pivot(index="seed", columns="source", values=column).astype(float)
    text = f"  {name:<14}" + f"{table[heads[0]].mean():>10.3g}"
    for head in heads[1:]:
        gain = (table[head] - table[heads[0]]).dropna()
        half = stats.t.ppf(0.975, len(gain) - 1) * gain.std() / np.sqrt(len(gain))
        text += f"{table[head].mean():>10.3g}{f' ({gain.mean():+.3g} +- {half:.2g})':<17}"
    print(text.rstrip(), flush=True)


if __name__ == "__main__":
    main()
