"""Checks of Python, packages, drivers, processor, extras and the disk."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from owl_geo.verbs.doctor.findings import REINSTALL, Check, Finding

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
    yield "temporary folder", lambda: check_folder(Path(tempfile.gettempdir()), "TMPDIR")


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
        remedy = unset if misleading else REINSTALL
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


def check_folder(folder: Path, variable: str = "") -> Iterator[Finding]:
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
