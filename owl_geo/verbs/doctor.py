"""What is wrong with this installation, or with a run: one check after the other, each for itself.

A check that breaks is a finding too, never a traceback. Nothing heavy is imported before the check
that is about it, so that whoever prints findings as they come says something at once.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from owl_geo.errors import OwlError

if TYPE_CHECKING:
    from owl_geo.run_folder.folder import Run

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """What one check found, and what to do about it; the latter empty where nothing is to do."""

    state: State
    what: str
    remedy: str = ""


Check = tuple[str, Callable[[], Iterable[Finding]]]


def examine(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run checks one by one and yield what they find; one that breaks is a problem of its own."""
    for name, check in checks:
        try:
            yield from check()
        except OwlError as error:
            remedy = error.remedy or "mend that, then ask again"
            yield Finding("problem", f"{name}: {error.message}", remedy)
        except Exception as error:  # noqa: BLE001 - whatever is broken, the other checks go on
            text = " ".join(f"{type(error).__name__}: {error}".split())
            yield Finding("problem", f"{name}: {text}", _REINSTALL)


_REINSTALL = "install owl-geo anew, in an environment of its own"
_OLDEST = (3, 11)
_LITTLE, _NO_SPACE = 2e9, 1e8  # bytes

# By the name of the package: the module that has to load.
_PACKAGES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "pandas": "pandas",
    "pyarrow": "pyarrow.parquet",
    "shapely": "shapely",
    "pyproj": "pyproj",
    "rasterio": "rasterio",
    "pyogrio": "pyogrio",
    "geopandas": "geopandas",
    "osmium": "osmium",
    "xarray": "xarray",
    "scikit-learn": "sklearn",
    "matplotlib": "matplotlib",
    "torch": "torch",
    "torchvision": "torchvision",
}
_EXTRAS = {
    "activeml": (("skactiveml",), "--strategy skactiveml:NAME"),
    "cluster": (("distributed",), "--cluster"),
    "fast": (("openvino",), "scoring networks faster on a CPU"),
    "postgis": (("sqlalchemy", "psycopg"), "answers in a database of the team"),
}
_RASTER_DRIVERS = {
    "GTiff": "GeoTIFF",
    "COG": "maps of predict",
    "VRT": "mosaics",
    "JP2OpenJPEG": "Sentinel-2 in JPEG 2000",
}
_ENGINES = {"h5netcdf": "NetCDF", "zarr": "Zarr"}


def environment() -> Iterator[Check]:
    """Return the checks of Python, packages, drivers, processor, extras and the disk."""
    yield "Python", _python
    for package, module in _PACKAGES.items():
        yield package, partial(_package, package, module)
    yield "GDAL", _gdal
    yield "GeoPackage", _geopackage
    yield "PROJ", _proj
    yield "xarray", _cubes
    yield "GPU", _gpu
    for extra, (modules, use) in _EXTRAS.items():
        yield extra, partial(_extra, extra, modules, use)
    yield "temporary folder", lambda: _folder(Path(tempfile.gettempdir()), "TMPDIR")


def _python() -> Iterator[Finding]:
    here = (
        f"owl-geo {version('owl-geo')}, Python {platform.python_version()} on {platform.platform()}"
    )
    if sys.version_info < _OLDEST:
        yield Finding("problem", here, "owl-geo needs Python 3.11 or newer")
    else:
        yield Finding("ok", f"{here}, {sys.executable}")


def _package(name: str, module: str) -> Iterator[Finding]:
    try:
        number = version(name)
    except PackageNotFoundError:
        yield Finding("problem", f"{name} is not installed", f"pip install {name}")
        return
    try:
        import_module(module)
    except ImportError as error:
        text = " ".join(str(error).split())
        yield Finding(
            "problem", f"{name} {number} does not load: {text}", f"pip install --force {name}"
        )
    else:
        yield Finding("ok", f"{name} {number}")


def _gdal() -> Iterator[Finding]:
    import rasterio

    with rasterio.Env() as env:
        drivers = env.drivers()
    for driver, use in _RASTER_DRIVERS.items():
        if driver not in drivers:
            yield Finding("problem", f"GDAL has no driver {driver}, for {use}", _WHEELS)
    found = [driver for driver in _RASTER_DRIVERS if driver in drivers]
    yield Finding("ok", f"GDAL {rasterio.__gdal_version__} with {', '.join(found)}")


_WHEELS = "take rasterio and pyogrio from PyPI or conda-forge, both from one of them"


def _geopackage() -> Iterator[Finding]:
    import pyogrio

    number = ".".join(map(str, pyogrio.__gdal_version__))
    if "w" in pyogrio.list_drivers().get("GPKG", ""):
        yield Finding("ok", f"GeoPackages can be written, GDAL {number}")
    else:
        yield Finding("problem", f"GDAL {number} of pyogrio writes no GeoPackage", _WHEELS)


def _proj() -> Iterator[Finding]:
    """Check pyproj's copy of PROJ and rasterio's; variables lead both astray."""
    led = [name for name in ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA") if os.environ.get(name)]
    astray = f"unset {' and '.join(led)}, which lead to the data of another program"
    import pyproj
    from rasterio.warp import transform

    try:
        pyproj.Transformer.from_crs(32632, 4326).transform(500_000.0, 5_000_000.0)
        transform("EPSG:32632", "EPSG:4326", [500_000.0], [5_000_000.0])
    except Exception as error:  # noqa: BLE001 - both libraries have trees of errors of their own
        text = " ".join(str(error).split())
        yield Finding("problem", f"PROJ cannot transform: {text}", astray if led else _REINSTALL)
        return
    yield Finding("ok", f"PROJ {pyproj.proj_version_str}, data in {pyproj.datadir.get_data_dir()}")
    if led:
        yield Finding("note", f"{' and '.join(led)} set, and it works", f"if it stops: {astray}")


def _cubes() -> Iterator[Finding]:
    import xarray

    engines = xarray.backends.list_engines()
    for engine, what in _ENGINES.items():
        if engine in engines:
            yield Finding("ok", f"xarray reads {what}")
        else:
            yield Finding("problem", f"xarray cannot read {what}", f"pip install {engine}")


def _gpu() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        yield Finding("ok", f"GPU: {torch.cuda.get_device_name(0)}")
    elif torch.backends.mps.is_available():
        yield Finding("ok", "GPU: Apple's, as --device mps")
    else:
        yield Finding("ok", "no GPU; the default model needs none")


def _extra(name: str, modules: tuple[str, ...], use: str) -> Iterator[Finding]:
    if all(find_spec(module) is not None for module in modules):
        for module in modules:
            import_module(module)
        yield Finding("ok", f"extra {name}: {use}")
    else:
        yield Finding(
            "note", f"extra {name} is not installed: {use}", f"pip install 'owl-geo[{name}]'"
        )


def _folder(folder: Path, variable: str = "") -> Iterator[Finding]:
    """Check that a folder can be written and has room."""
    elsewhere = f"set {variable} to another" if variable else "make it writable, or move it"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"owl")
            file.flush()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding("problem", f"cannot write {folder}: {error.strerror or error}", elsewhere)
        return
    room = f"{free / 1e9:.1f} GB free in {folder}"
    if free < _NO_SPACE:
        yield Finding("problem", room, f"make room, or {elsewhere}")
    elif free < _LITTLE:
        yield Finding("note", room, "make room before a large run")
    else:
        yield Finding("ok", f"{room}, writable")


# --- a run ----------------------------------------------------------------------------------------


def run_checks(path: Path) -> Iterator[Check]:
    """Return the checks of a run folder; the later ones only if its settings can be read."""
    opened: list[Run] = []

    def settings() -> Iterator[Finding]:
        from owl_geo.run_folder.folder import Run

        opened.append(Run(path))
        yield Finding("ok", f"{path}: owl.toml reads well")

    yield "settings", settings
    if path.is_dir():
        yield "run folder", partial(_folder, path)
        yield "partial files", partial(_partial, path)
    if opened:
        run = opened[0]
        yield "lock", partial(_lock, run)
        yield "patch index", partial(_index, run)
        yield "scenes", partial(_scenes, run)
        yield "layers", partial(_layers, run)
        yield "answers", partial(_answers, run)
        yield "rounds", partial(_rounds, run)


def _partial(path: Path) -> Iterator[Finding]:
    found = list(path.rglob(".*.partial*"))
    found += list(path.absolute().parent.glob(f".{path.absolute().name}.partial-*"))
    if not found:
        yield Finding("ok", "nothing half written lies around")
    for place in sorted(found):
        yield Finding(
            "note",
            f"{place} was left by a command that was killed, or is being written now",
            "it harms nothing; delete it when no owl-geo runs",
        )


def _lock(run: Run) -> Iterator[Finding]:
    from owl_geo.errors import BusyError, RunError
    from owl_geo.run_folder.paths import LOCK

    was_there = (run.path / LOCK).exists()
    try:
        with run.locked():
            pass
    except RunError as error:
        state: State = "note" if isinstance(error, BusyError) else "problem"
        yield Finding(state, error.message, error.remedy)
        return
    if not was_there:
        (run.path / LOCK).unlink(missing_ok=True)
    yield Finding("ok", "no other owl-geo works on it")


def _index(run: Run) -> Iterator[Finding]:
    patches, bands = len(run.patches), ", ".join(run.index.statistics.bands)
    if run.settings.oracle is not None and run.truth is not None and len(run.truth) != patches:
        update = f"owl-geo init {run.path} --update"
        yield Finding("problem", f"truth.parquet has {len(run.truth)} rows, not {patches}", update)
    yield Finding("ok", f"{patches} patches, bands {bands}")


def _scenes(run: Run) -> Iterator[Finding]:
    from owl_geo.settings import owl_toml

    toml = run.path / owl_toml.FILE_NAME
    places = run.scenes.paths
    missing = [
        (name, place)
        for name, own in places.items()
        for place in own
        if owl_toml.is_local(place) and not Path(place).exists()
    ]
    for name, place in missing:
        remedy = f"put it back, or say in {toml} where it is now"
        yield Finding("problem", f"scene {name!r}: {place} does not exist", remedy)
    for name in run.scenes.changed:
        yield Finding(
            "problem",
            f"scene {name!r} changed since the run was made",
            f"restore it, or owl-geo init {run.path} --update",
        )
    if not missing and not run.scenes.changed:
        bands = run.source.bands  # opens every header
        yield Finding(
            "ok", f"scenes are there and unchanged: {len(run.grids)}, bands: {len(bands)}"
        )


def _layers(run: Run) -> Iterator[Finding]:
    """Check what only making the index anew would need."""
    from owl_geo.settings import owl_toml

    here = run.settings_here
    places = [path for _, path in here.named_files("layers", "concepts", "oracle")]
    missing = [p for p in places if owl_toml.is_local(p) and not Path(p).exists()]
    for place in missing:
        yield Finding(
            "note",
            f"{place} does not exist; its concepts are kept in the run",
            "put it back before `owl-geo init --update` or `owl-geo add`",
        )
    if places and not missing:
        yield Finding("ok", f"layers, rasters and truth are there: {len(places)}")


def _answers(run: Run) -> Iterator[Finding]:
    history = run.labels.history()
    yield Finding("ok", f"answers in {run.labels.name}: {len(history)}")
    unknown = ~history["patch_id"].isin(run.patches["patch_id"])
    if unknown.any():
        first = history["patch_id"][unknown].iloc[0]
        yield Finding(
            "problem",
            f"{int(unknown.sum())} answers are for patches that the index lacks, {first} say",
            "restore source in owl.toml as it was",
        )


def _rounds(run: Run) -> Iterator[Finding]:
    rounds = run.rounds()
    for entry in rounds:
        if entry.batch_id is None:
            continue
        for place in run.batch_paths(entry).values():
            if not place.exists():
                yield Finding(
                    "note",
                    f"{place} is missing; answers that were ingested are kept",
                    "restore it if it has answers that were not",
                )
    yield Finding("ok", f"rounds, their records whole: {len(rounds)}")
