"""``owl-geo plugin``: install the QGIS plugin, or make a zip of it."""

from __future__ import annotations

import configparser
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click

from owl_geo.cli import options as opt
from owl_geo.disk.atomic import writing_file, writing_folder
from owl_geo.errors import OwlError, did_you_mean

NAME = "owl_geo_labeler"
PROGRAM_FILE = "program.txt"  # in the installed plugin: the owl-geo that Next batch starts

_APPLICATIONS = ("QGIS3", "QGIS4")
# The oldest time a zip can hold, so that the same files always make the same zip.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@click.group(
    short_help="Install the QGIS plugin, or make a zip of it.",
    epilog="Example: owl-geo plugin install",
)
def plugin() -> None:
    """Install the QGIS plugin, or make a zip of it."""


@plugin.command(
    cls=opt.Command,
    epilog="Example: owl-geo plugin install --profile default",
    short_help="Install the plugin in a QGIS profile.",
)
@click.option(
    "--profile",
    help="The QGIS user profile.",
    show_default="the one QGIS starts with",
    cls=opt.Option,
)
@click.option(
    "--profiles-path",
    type=opt.LocalPath(),
    help="The folder that contains the folder `profiles`, as for QGIS itself.",
)
@opt.common
def install(profile: str | None, profiles_path: Path | None) -> None:
    """Install the plugin in a QGIS profile, replacing any version already there.

    Without --profiles-path, it is installed in every QGIS (3 and 4) that you have started. The path
    of this owl-geo is stored with the plugin, which then also finds it in a virtual environment.
    """
    source, program = plugin_folder(), running_program()
    for settings in [profiles_path] if profiles_path else settings_folders():
        target = _profile(settings, profile) / "python" / "plugins" / NAME
        _replace(source, target, program)
        click.echo(target)
    if program is not None:
        opt.say(f"Next batch in QGIS will start {program}")
    title = _title(source)
    opt.say(f"Next: in QGIS, Plugins > Manage and Install Plugins > Installed, tick {title!r}")


@plugin.command(
    "zip",
    cls=opt.Command,
    epilog="Example: owl-geo plugin zip --out owl_geo_labeler.zip",
    short_help="Make a zip for QGIS's plugin manager.",
)
@click.option(
    "--out",
    type=opt.LocalPath(),
    default=Path(f"{NAME}.zip"),
    show_default=True,
    help="The file to write.",
)
@opt.common
def zip_(out: Path) -> None:
    """Make a zip for QGIS's plugin manager (Install from ZIP), and print its path."""
    source = plugin_folder()
    if not out.parent.is_dir():
        raise OwlError(f"cannot write {out}: its folder does not exist", remedy="make it first")
    with (
        writing_file(out) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for path in _files(source):
            entry = zipfile.ZipInfo(f"{NAME}/{path.relative_to(source).as_posix()}", _ZIP_TIME)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    click.echo(out)


def plugin_folder() -> Path:
    """Return the folder of the plugin's files, in an installed package or in a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / "_plugin" / NAME, package.parent / "qgis_plugin" / NAME):
        if (folder / "metadata.txt").is_file():
            return folder
    raise OwlError(f"the QGIS plugin is not beside {package}", remedy="reinstall owl-geo")


def running_program() -> Path | None:
    """Return the absolute path of the running ``owl-geo``, a file that can be started.

    None if there is no such file, as with ``python -m owl_geo`` in a checkout.
    """
    # without following links, which lead out of the environment
    folder = Path(sys.executable).parent
    if sys.platform == "win32":
        programs = [folder / "owl-geo.exe", folder / "Scripts" / "owl-geo.exe"]
    else:
        programs = [folder / "owl-geo"]
        called = Path(sys.argv[0])
        if called.name == "owl-geo":
            programs.insert(0, called.absolute())
    return next((path for path in programs if path.is_file() and os.access(path, os.X_OK)), None)


def _title(source: Path) -> str:
    """Return the plugin's name in QGIS's list of plugins."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(source / "metadata.txt", encoding="utf-8")
    return metadata["general"]["name"]


def settings_folders() -> list[Path]:
    """Return this user's settings folders of QGIS: those that exist, else the one of QGIS 3.

    Raises OwlError if the system does not tell where the user's data is.
    """
    custom = os.environ.get("QGIS_CUSTOM_CONFIG_PATH")
    if custom:
        return [Path(custom)]
    base = _data_folder() / "QGIS"
    existing = [base / name for name in _APPLICATIONS if (base / name).is_dir()]
    return existing or [base / _APPLICATIONS[0]]


def _data_folder() -> Path:
    if sys.platform == "win32":
        appdata = os.environ.get("APPDATA")
        if not appdata:
            raise OwlError("APPDATA is not set", remedy="name the folder with --profiles-path")
        return Path(appdata)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def _profile(settings: Path, name: str | None) -> Path:
    """Return the folder of a profile; raises OwlError if QGIS does not have it."""
    profiles = settings / "profiles"
    existing = sorted(path.name for path in profiles.glob("*") if path.is_dir())
    if name is None:
        name = _default_profile(profiles)
    elif existing and name not in existing:
        raise OwlError(
            f"QGIS has no profile {name!r} in {profiles}{did_you_mean(name, existing)}",
            remedy="create the profile in QGIS first",
        )
    return profiles / name


def _default_profile(profiles: Path) -> str:
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read(profiles / "profiles.ini", encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return "default"
    return settings.get("core", "defaultProfile", fallback="default")


def _replace(source: Path, target: Path, program: Path | None) -> None:
    """Copy the whole plugin to ``target``; the old one is removed once the new one is in place.

    ``program`` is stored with it, for the plugin to start. Raises OwlError.
    """
    if target.is_symlink():
        raise OwlError(f"{target} is a link to {target.readlink()}", remedy="remove it first")
    if target.exists() and not (target / "metadata.txt").is_file():
        raise OwlError(f"{target} is not a QGIS plugin", remedy="move it away first")
    with writing_folder(target, replace=True) as fresh:
        for path in _files(source):
            copy = fresh / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        if program is not None:
            (fresh / PROGRAM_FILE).write_text(f"{program}\n", encoding="utf-8")


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
