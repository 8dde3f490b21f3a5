"""Searches in vectors: what they take beside other ways to do the same, and what they find.

    python -m benchmarks.vectors [OUT] [--vectors 1000000] [--dimensions 64] [--kind int8]
    python -m benchmarks.vectors OUT --strategies [--seeds 10]

Without --strategies, prints ratios, each against a baseline measured in the same run: the nearest
neighbours of patches among all vectors against faiss's flat search (pip install owl-geo[bench]),
scores, as a round computes them, against scikit-learn's estimators on float64, and patches of a
raster of 64 int8 bands against decoding it whole; then the seconds and the peak memory of each
command, and of the next batch in a process that stays. The table is made in OUT and kept there for
the next time; ten million vectors take 700 MB as int8.

With --strategies, prints what the strategies find on generated unit vectors whose targets point a
little in one direction, paired by seed, as `owl-geo compare` does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely

from benchmarks.pool import answer, measured
from benchmarks.tables import CORNER, CRS, SPACING, make_table, make_vectors
from benchmarks.timing import interleaved
from owl_geo import GeoTiffSource, Run
from owl_geo.acquisition.nearby import Neighbours
from owl_geo.cli import cli
from owl_geo.features.rows import FeatureTable
from owl_geo.learners.head import HeadLearner
from owl_geo.settings.learning import ModelSettings, UncertaintySettings
from owl_geo.types import AnyArray, BoolArray, IntArray

_COMPARED = 500_000  # vectors whose neighbours are looked for
_QUERIES, _EACH = 20, 1000
_SCORED, _LEARNT = 200_000, 100
_SIDE, _BANDS = 1024, 64
_THREADS = 2


def main() -> None:
    """Print the ratios and the commands, or the strategies."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vectors")
    parser.add_argument("out", type=Path, nargs="?", help="a folder for what is made")
    parser.add_argument("--vectors", type=int, default=1_000_000, help="of the commands' table")
    parser.add_argument("--dimensions", type=int, default=64)
    parser.add_argument("--kind", default="int8", choices=("int8", "float16", "float32"))
    parser.add_argument("--no-ratios", action="store_true", help="only the commands")
    parser.add_argument("--strategies", action="store_true", help="compare what they find")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = options.out or Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        if options.strategies:
            strategies(out, options.seeds)
            return
        if not options.no_ratios:
            neighbours(options.dimensions)
            scores(options.dimensions)
            reading(out)
        table = out / f"{options.vectors}-{options.dimensions}-{options.kind}.parquet"
        if not table.exists():
            make_table(table, options.vectors, options.dimensions, kind=options.kind)
        commands(table, Path(scratch) / "run")


def show(title: str, rates: dict[str, float], ours: str) -> None:
    """Print how many times as fast each way is as owl-geo's baseline."""
    print(title)
    for name, rate in rates.items():
        ratio = "" if name == ours else f"   owl-geo is {rates[ours] / rate:.2f} times as fast"
        print(f"  {name:<44}  {rate:>12,.0f}/s{ratio}")
    print(flush=True)


def neighbours(dimensions: int) -> None:
    """The exact nearest neighbours of some patches, as each round looks for them."""
    rng = np.random.default_rng(0)
    vectors, _ = make_vectors(_COMPARED, dimensions, rng)
    asked = rng.choice(_COMPARED, _QUERIES, replace=False)
    pool = np.setdiff1d(np.arange(_COMPARED), asked)
    found = {}
    ours = "owl-geo"

    def of_owl_geo() -> int:
        found[ours] = np.sort(Neighbours(vectors).of(asked, pool, _EACH), axis=1)
        return _COMPARED * _QUERIES

    ways: dict[str, Callable[[], int]] = {ours: of_owl_geo}
    try:
        import faiss
    except ImportError:
        print("faiss is not installed (pip install owl-geo[bench]): it is left out")
    else:
        faiss.omp_set_num_threads(_THREADS)
        index = faiss.IndexFlatL2(dimensions)
        index.add(vectors[pool])

        def of_faiss() -> int:
            found["faiss"] = np.sort(pool[index.search(vectors[asked], _EACH)[1]], axis=1)
            return _COMPARED * _QUERIES

        ways["faiss, IndexFlatL2"] = of_faiss
    rates = interleaved(ways, repeats=3)
    title = f"{_EACH:,} nearest of each of {_QUERIES} vectors in {_COMPARED:,} of {dimensions}: "
    show(title + "distances", rates, ours)
    if "faiss" in found:
        same = np.mean([len(np.intersect1d(*rows)) for rows in zip(*found.values(), strict=True)])
        print(f"  {same:.1f} of {_EACH} neighbours are the same (faiss computes in float32)\n")


def scores(dimensions: int) -> None:
    """The heads as a round applies them, beside scikit-learn's own estimators on float64."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    vectors, is_target = make_vectors(_SCORED + _LEARNT, dimensions, rng, rare=0.4)
    learnt = np.arange(_LEARNT)
    labels = is_target[learnt].astype(np.int64)
    table = FeatureTable(vectors, tuple(f"A{i:02}" for i in range(dimensions)))
    none = np.empty((len(vectors), 0), dtype=np.float32)
    trees = ExtraTreesClassifier(100, random_state=0)
    theirs = {
        "forest": {"": trees, ", n_jobs=2": ExtraTreesClassifier(100, random_state=0, n_jobs=2)},
        "gp": {"": GaussianProcessClassifier(random_state=0)},
        "logistic": {"": LogisticRegression(max_iter=1000)},
    }
    exact = vectors.astype(np.float64)
    for name, estimators in theirs.items():
        learner = HeadLearner(
            *(table, none, none, ("absent", "present")),
            model=ModelSettings(head=name),
            uncertainty=UncertaintySettings(),
        )
        learner.learn(learnt, labels, np.ones(_LEARNT, dtype=bool), seed=0)
        pool = np.arange(_LEARNT, len(vectors))

        def by_head(learner: HeadLearner = learner, pool: IntArray = pool) -> int:
            return learner.members(pool, seed=0).shape[1]

        ways: dict[str, Callable[[], int]] = {f"owl-geo, {name}": by_head}
        for variant, estimator in estimators.items():
            estimator.fit(exact[:_LEARNT], labels)
            ways[f"scikit-learn, {name}{variant}"] = partial(_by_sklearn, estimator, exact)
        rates = interleaved(ways, repeats=3)
        title = f"Scores of {_SCORED:,} vectors, {_LEARNT} answers: vectors"
        show(title, rates, f"owl-geo, {name}")


def _by_sklearn(estimator: Any, exact: AnyArray) -> int:
    return len(estimator.predict_proba(exact[_LEARNT:]))


def reading(out: Path) -> None:
    """Patches of a raster laid out as AlphaEarth is, beside GDAL's decoding of all of it."""
    path = out / "alphaearth.tif"
    if not path.exists():
        rng = np.random.default_rng(0)
        profile = {
            "driver": "GTiff",
            "width": _SIDE,
            "height": _SIDE,
            "count": _BANDS,
            "dtype": "int8",
            "nodata": -128,
            "crs": CRS,
            "transform": rasterio.Affine(10, 0, CORNER[0], 0, -10, CORNER[1]),
            "tiled": True,
            "blockxsize": 256,
            "blockysize": 256,
            "compress": "zstd",
        }
        with rasterio.open(path, "w", **profile) as raster:
            for band in range(_BANDS):
                noise = rng.integers(-60, 60, (_SIDE // 8, _SIDE // 8)).repeat(8, 0).repeat(8, 1)
                pixels = noise + rng.integers(-4, 4, noise.shape)
                raster.write(pixels.astype(np.int8), band + 1)
            raster.descriptions = tuple(f"A{band:02}" for band in range(_BANDS))
    source = GeoTiffSource(path, patch_size=8)
    n = len(source.index)

    def ours() -> int:
        fresh = GeoTiffSource(path, patch_size=8, index=source.index)
        return sum(len(at) for at, _ in fresh.stream())

    def whole() -> int:
        with rasterio.open(path, num_threads="all_cpus") as raster:
            raster.read()
        return n

    rates = interleaved({"owl-geo, values of patches": ours, "rasterio, int8 of all": whole}, 3)
    show("Patches of 8 x 8 pixels of 64 bands: patches", rates, "owl-geo, values of patches")


def commands(table: Path, run: Path) -> None:
    """Seconds and peak memory of each command, and of the next batch in a process that stays."""
    print(f"Commands on {table.name}: seconds, and peak memory in MB")
    rows = [("init", measured("init", run, "--source", "vectors", "--scene", table))]
    rows.append(("first query", measured("query", run)))
    answer(Run(run))
    rows.append(("next query", measured("query", run)))
    answer(Run(run))
    rows.append(("next query, warm", _warm(run)))
    rows.append(("predict", measured("predict", run)))
    for name, (seconds, memory) in rows:
        print(f"  {name:<18}  {seconds:>8.1f}  {memory:>8.0f}", flush=True)


def _warm(run: Path) -> tuple[float, float]:
    """Return what the next batch takes after a first one in the same process, and its peak memory.

    The cross-validation, which an engine does while people label, is left out.
    """
    code = (
        "import sys, json, time, owl_geo; from benchmarks.pool import answer, peak; "
        "from owl_geo.run_folder.kept import KeptRun; run = KeptRun(sys.argv[1]); "
        "owl_geo.query(run, measure=False); answer(run); run.refresh(); "
        "begun = time.perf_counter(); owl_geo.query(run, measure=False); "
        "took = time.perf_counter() - begun; answer(run); print(json.dumps([took, peak()]))"
    )
    done = subprocess.run([sys.executable, "-c", code, run], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return seconds, memory


def strategies(out: Path, seeds: int, n: int = 2500) -> None:
    """Print what the strategies find where a twentieth of the vectors are targets."""
    table, truth, run = out / "directed.parquet", out / "directed.gpkg", out / "directed"
    if not run.exists():
        is_target = make_table(table, n, 64, kind="float32", rare=0.05)
        _write_squares(truth, is_target)
        _owl_geo(
            *("init", run, "--source", "vectors", "--scene", table, "--oracle", truth),
            *("--model", "embedding", "--batch-size", 20),
        )
    _owl_geo(
        *("compare", out / "compare", f"--run=vectors={run}", "--budget", 0.08),
        *("--strategies", "default,greedy,uncertainty,random", "--seeds", seeds),
        *("--jobs", os.cpu_count() or 1),
    )


def _write_squares(path: Path, is_target: BoolArray) -> None:
    row, col = np.divmod(np.flatnonzero(is_target), round(len(is_target) ** 0.5))
    x, y, half = CORNER[0] + col * SPACING, CORNER[1] - row * SPACING, SPACING / 2
    boxes = shapely.box(x - half, y - half, x + half, y + half)
    gpd.GeoDataFrame(geometry=boxes, crs=CRS).to_file(path)


def _owl_geo(*arguments: object) -> None:
    cli.main(args=list(map(str, arguments)), prog_name="owl-geo", standalone_mode=False)


if __name__ == "__main__":
    main()
