"""``owl-geo sample``: a small scene for trying everything out."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import click

from owl_geo.cli import options as opt
from owl_geo.disk.atomic import writing_file
from owl_geo.errors import OwlError, RunError
from owl_geo.wording import as_typed

FILES = (
    *("scene.tif", "area.osm", "truth.gpkg", "README.md"),
    *("next_year.tif", "clearings.gpkg", "olinda/landsat.tif"),
)
PATCH_SIZE = 16


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo sample first-search",
    short_help="Copy a small scene to try everything out.",
)
@click.argument("folder", metavar="DIR", type=opt.LocalPath())
@opt.common
def sample(folder: Path) -> None:
    """Copy a small scene, a map of the area, and the truth into DIR, and show what to type next.

    The data is made up: 5 by 5 km of an imaginary place with contaminated sites to find. A piece of
    a real Landsat scene comes with it. Nothing is overwritten.
    """
    _copy(folder)
    scene, osm, truth, readme = (as_typed(folder / name) for name in FILES[:4])
    search, trial = as_typed(folder / "search"), as_typed(folder / "trial")
    click.echo(folder)
    opt.say(f"What this is and what to look for: {readme}")
    opt.say("Search it yourself, labelling in QGIS:")
    opt.say(f"  owl-geo init {search} --scene {scene} --patch-size {PATCH_SIZE} --osm {osm}")
    opt.say(f"  owl-geo query {search}")
    opt.say("Or watch a search whose answers come from the truth:")
    opt.say(
        f"  owl-geo init {trial} --scene {scene} --patch-size {PATCH_SIZE} --osm {osm} "
        f"--oracle {truth} --oracle-column class --oracle-values contaminated --oracle-share 0.1"
    )
    opt.say(f"  owl-geo run {trial}")


def sample_folder() -> Path:
    """Return the folder of the sample's files, in an installed package or in a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / "_sample", package.parent / "sample_data"):
        if (folder / FILES[0]).is_file():
            return folder
    raise OwlError(f"the sample data is not beside {package}", remedy="reinstall owl-geo")


def _copy(folder: Path) -> None:
    """Copy all files or none; raises OwlError if the folder is not empty."""
    source = sample_folder()
    if folder.is_file():
        raise OwlError(f"{folder} is a file", remedy="name a folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise OwlError(f"{folder} is not empty", remedy="name a new folder")
    is_new = not folder.exists()
    written: list[Path] = []
    try:
        for name in FILES:
            written.append(folder / name)
            with writing_file(folder / name) as partial:
                shutil.copyfile(source / name, partial)
    except BaseException as error:
        for path in written:
            with suppress(OSError):  # the folder could not be made
                path.unlink(missing_ok=True)
        folders = {path.parent for path in written} - {folder}
        for made in (*folders, *([folder] if is_new else [])):
            with suppress(OSError):
                made.rmdir()
        if isinstance(error, RunError):
            raise OwlError(error.message, remedy="name a folder that you can write to") from error
        raise
