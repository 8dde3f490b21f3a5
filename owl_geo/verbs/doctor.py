"""What is wrong with this installation, or with a run: a series of independent checks.

A check that breaks is a finding too, never a traceback. Nothing heavy is imported before the check
that concerns it, so that whoever prints findings as they arrive has something to show at once.
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
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from owl_geo.errors import OwlError
from owl_geo.wording import counted

if TYPE_CHECKING:
    from owl_geo.run_folder.folder import Run

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """What one check found, and what to do about it, which is empty if there is nothing to do."""

    state: State
    what: str
    remedy: str = ""


Check = tuple[str, Callable[[], Iterable[Finding]]]


def examine(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run checks one by one and yield what they find; a check that breaks is itself a problem."""
    for name, check in checks:
        try:
            yield from check()
        except OwlError as error:
            remedy = error.remedy or "fix that, then run the check again"
            yield Finding("problem", f"{name}: {error.message}", remedy)
        except Exception as error:  # noqa: BLE001 - whatever is broken, the other checks must run
            text = " ".join(f"{type(error).__name__}: {error}".split())
            yield Finding("problem", f"{name}: {text}", _REINSTALL)


_REINSTALL = "reinstall owl-geo in an environment of its own"
_OLDEST = (3, 11)
_LITTLE, _NO_SPACE = 2e9, 1e8  # bytes

# The module that has to load, by the name of its package.
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
    "fast": (("numba", "openvino"), "features and networks of large pools faster"),
    "postgis": (("sqlalchemy", "psycopg"), "answers in a team's database"),
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
    yield "versions", _versions
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


def _versions() -> Iterator[Finding]:
    """Compare with what owl-geo requires: another installation may have put older ones there."""
    from packaging.requirements import Requirement

    for text in requires("owl-geo") or ():
        needed = Requirement(text)
        name, bounds = needed.name, needed.specifier
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            number = version(name)
        except PackageNotFoundError:
            if name not in _PACKAGES:  # those say so themselves
                yield Finding("problem", f"{name} is not installed", f"pip install '{text}'")
            continue
        if not bounds.contains(number, prereleases=True):
            yield Finding(
                "problem", f"{name} is {number}, owl-geo needs {bounds}", f"pip install '{text}'"
            )


def _gdal() -> Iterator[Finding]:
    import rasterio

    with rasterio.Env() as env:
        drivers = env.drivers()
    for driver, use in _RASTER_DRIVERS.items():
        if driver not in drivers:
            yield Finding("problem", f"GDAL lacks the {driver} driver, needed for {use}", _WHEELS)
    available = [driver for driver in _RASTER_DRIVERS if driver in drivers]
    yield Finding("ok", f"GDAL {rasterio.__gdal_version__} with {', '.join(available)}")


_WHEELS = "install rasterio and pyogrio from the same place, either PyPI or conda-forge"


def _geopackage() -> Iterator[Finding]:
    import pyogrio

    number = ".".join(map(str, pyogrio.__gdal_version__))
    if "w" in pyogrio.list_drivers().get("GPKG", ""):
        yield Finding("ok", f"GeoPackages can be written, GDAL {number}")
    else:
        yield Finding("problem", f"pyogrio's GDAL {number} cannot write GeoPackages", _WHEELS)


def _proj() -> Iterator[Finding]:
    """Check pyproj's copy of PROJ and rasterio's; environment variables can mislead both."""
    misleading = [name for name in ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA") if os.environ.get(name)]
    unset = f"unset {' and '.join(misleading)}, to use the data that came with the packages"
    import pyproj
    from rasterio.warp import transform

    try:
        pyproj.Transformer.from_crs(32632, 4326).transform(500_000.0, 5_000_000.0)
        transform("EPSG:32632", "EPSG:4326", [500_000.0], [5_000_000.0])
    except Exception as error:  # noqa: BLE001 - each library has its own hierarchy of errors
        text = " ".join(str(error).split())
        remedy = unset if misleading else _REINSTALL
        yield Finding("problem", f"PROJ cannot transform: {text}", remedy)
        return
    yield Finding("ok", f"PROJ {pyproj.proj_version_str}, data in {pyproj.datadir.get_data_dir()}")
    if misleading:
        names = " and ".join(misleading)
        yield Finding(
            "note", f"PROJ works although the environment sets {names}", f"if that changes, {unset}"
        )


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
        yield Finding("ok", "GPU: Apple, used with --device mps")
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
    elsewhere = f"set {variable} to another folder" if variable else "make it writable, or move it"
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
        yield Finding("problem", room, f"free some space, or {elsewhere}")
    elif free < _LITTLE:
        yield Finding("note", room, "free some space before a large run")
    else:
        yield Finding("ok", f"{room}, writable")


# --- a run ----------------------------------------------------------------------------------------


def run_checks(path: Path) -> Iterator[Check]:
    """Return the checks of a run folder; later ones only if its settings can be read."""
    opened: list[Run] = []

    def settings() -> Iterator[Finding]:
        from owl_geo.run_folder.folder import Run

        opened.append(Run(path))
        yield Finding("ok", f"{path}: owl.toml can be read")

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
    partials = list(path.rglob(".*.partial*"))
    partials += list(path.absolute().parent.glob(f".{path.absolute().name}.partial-*"))
    if not partials:
        yield Finding("ok", "there are no half-written files")
    for partial_path in sorted(partials):
        yield Finding(
            "note",
            f"{partial_path} was left by a command that was killed, or is being written now; it "
            "does no harm",
            "delete it when no owl-geo is running",
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
    yield Finding("ok", "no other owl-geo is working on it")


def _index(run: Run) -> Iterator[Finding]:
    from owl_geo.sources.band_choice import in_short

    patches, bands = len(run.patches), in_short(run.index.statistics.bands)
    if run.settings.oracle is not None and run.truth is not None and len(run.truth) != patches:
        update = f"run owl-geo init {run.path} --update"
        yield Finding(
            "problem",
            f"truth.parquet has {counted(len(run.truth), 'row')}, not {patches:,}",
            update,
        )
    yield Finding("ok", f"{counted(patches, 'patch')}, bands {bands}")


def _scenes(run: Run) -> Iterator[Finding]:
    from owl_geo.settings import owl_toml

    toml = run.path / owl_toml.FILE_NAME
    missing = list(run.scenes.missing)
    for kind, name, file in missing:
        remedy = f"put it back, or give its new path in {toml}"
        yield Finding("problem", f"{kind} {name!r}: {file} does not exist", remedy)
    changed = [f"scene {name!r}" for name in run.scenes.changed_scenes]
    changed += [f"view {name!r}" for name in run.scenes.changed_views]
    for which in changed:
        yield Finding(
            "problem",
            f"{which} has changed since the run was made",
            f"restore it, or run owl-geo init {run.path} --update",
        )
    if not missing and not run.scenes.changed:
        bands = run.source.bands  # opens every header
        yield Finding(
            "ok",
            f"all scenes are present and unchanged: {counted(len(run.grids), 'scene')} of "
            f"{counted(len(bands), 'band')}",
        )
        if run.settings.views:
            names = ", ".join(run.settings.views)
            yield Finding("ok", f"all views are present and unchanged: {names}")


def _layers(run: Run) -> Iterator[Finding]:
    """Check the files that are needed only to rebuild the index."""
    from owl_geo.settings.paths import is_local

    named = run.settings_here.named_files("layers", "concepts", "oracle")
    files = [path for _, path in named]
    missing = [file for file in files if is_local(file) and not Path(file).exists()]
    for file in missing:
        yield Finding(
            "note",
            f"{file} does not exist; its concepts are kept in the run",
            "put it back before `owl-geo init --update` or `owl-geo add`",
        )
    if files and not missing:
        yield Finding("ok", f"all layers, rasters and truth are present: {len(files):,}")


def _answers(run: Run) -> Iterator[Finding]:
    history = run.labels.history()
    yield Finding("ok", f"answers in {run.labels.name}: {len(history):,}")
    unknown = ~history["patch_id"].isin(run.patches["patch_id"])
    if unknown.any():
        first = history["patch_id"][unknown].iloc[0]
        yield Finding(
            "problem",
            f"{counted(int(unknown.sum()), 'answer is', 'answers are')} for patches that the index "
            f"lacks, for example {first}",
            "restore the original source in owl.toml",
        )


def _rounds(run: Run) -> Iterator[Finding]:
    rounds = run.rounds()
    for entry in rounds:
        if entry.batch_id is None:
            continue
        for path in run.batch_paths(entry).values():
            if not path.exists():
                yield Finding(
                    "note",
                    f"{path} is missing; answers that were ingested are kept",
                    "restore it if it held answers that were not ingested",
                )
    yield Finding("ok", f"all records of rounds are complete: {len(rounds):,}")
