"""``owl-geo sample``: a small scene to try everything on."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from owl_geo.cli import options as opt
from owl_geo.errors import OwlError

FILES = ("scene.tif", "area.osm", "truth.gpkg", "README.md", "olinda/landsat.tif")
PATCH_SIZE = 16


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo sample first-search",
    short_help="A small scene to try everything on, and what to type next.",
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@opt.common
def sample(folder: Path) -> None:
    """Put a small scene, a map of what lies there, and the truth into DIR, and say what to type.

    Made data, 5 by 5 km of no place on Earth, with contaminated sites to be found; and a piece of a
    real Landsat scene. Nothing that is there is overwritten.
    """
    _copy(folder)
    scene, osm, truth, readme, _ = (opt.quoted(folder / name) for name in FILES)
    search, trial = opt.quoted(folder / "search"), opt.quoted(folder / "trial")
    click.echo(folder)
    opt.say(f"What it is and what to look for: {readme}")
    opt.say("Search it yourself, labelling in QGIS:")
    opt.say(f"  owl-geo init {search} --scene {scene} --patch-size {PATCH_SIZE} --osm {osm}")
    opt.say(f"  owl-geo query {search}")
    opt.say("Or watch a search that the truth answers:")
    opt.say(
        f"  owl-geo init {trial} --scene {scene} --patch-size {PATCH_SIZE} --osm {osm} "
        f"--oracle {truth} --oracle-column class --oracle-values contaminated --oracle-share 0.1"
    )
    opt.say(f"  owl-geo run {trial}")


def sample_folder() -> Path:
    """Return where the sample's files lie: in an installed package or in a checkout."""
    package = Path(__file__).parents[1]
    for place in (package / "_sample", package.parent / "sample_data"):
        if (place / FILES[0]).is_file():
            return place
    raise OwlError(f"the sample data are not beside {package}", remedy="install owl-geo anew")


def _copy(folder: Path) -> None:
    """Copy the files, all or none; raises OwlError where the folder has anything in it."""
    source = sample_folder()
    if folder.is_file():
        raise OwlError(f"{folder} is a file", remedy="name a folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise OwlError(f"{folder} is not empty", remedy="name a new folder")
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (folder / name).parent.mkdir(exist_ok=True)
            written.append(folder / name)
            shutil.copyfile(source / name, folder / name)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
            if path.parent != folder:
                path.parent.rmdir()
        reason = error.strerror or str(error)
        raise OwlError(
            f"cannot write {folder}: {reason}", remedy="name a folder that you may write"
        ) from error
