"""``owl-geo plugin``: the QGIS plugin into a profile, or into a zip."""

from __future__ import annotations

import configparser
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click

from owl_geo.cli import options as opt
from owl_geo.errors import OwlError, did_you_mean

NAME = "owl_geo_labeler"
PROGRAM_FILE = "program.txt"  # in the installed plugin: the owl-geo that Next batch starts

_APPLICATIONS = ("QGIS3", "QGIS4")
# The oldest time that a zip can hold: the same files make the same zip.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@click.group(short_help="Install the QGIS plugin, or make a zip of it.")
def plugin() -> None:
    """Install the QGIS plugin, or make a zip of it."""


@plugin.command(
    cls=opt.Command,
    epilog="Example: owl-geo plugin install --profile default",
    short_help="Put the plugin into a QGIS profile.",
)
@click.option("--profile", help="The user profile of QGIS.  [the one that QGIS starts with]")
@click.option(
    "--profiles-path",
    type=click.Path(path_type=Path),
    help="As for QGIS itself: the folder that holds the folder `profiles`.",
)
@opt.common
def install(profile: str | None, profiles_path: Path | None) -> None:
    """Put the plugin into a QGIS profile, in place of the version that is there.

    Without --profiles-path it goes into every QGIS (3 and 4) that this user has started. The plugin
    is told where this owl-geo lies, so that it finds it in a virtual environment as well.
    """
    source, program = plugin_folder(), running_program()
    for place in [profiles_path] if profiles_path else settings_folders():
        target = _profile(place, profile) / "python" / "plugins" / NAME
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
    short_help="Make the zip that QGIS's plugin manager installs.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path(f"{NAME}.zip"),
    show_default=True,
    help="The file to write.",
)
@opt.common
def zip_(out: Path) -> None:
    """Make the zip that QGIS's plugin manager installs (Install from ZIP), and print its path."""
    source = plugin_folder()
    partial = out.with_name(f".{out.name}.partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in _files(source):
                entry = zipfile.ZipInfo(f"{NAME}/{path.relative_to(source).as_posix()}", _ZIP_TIME)
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
        partial.replace(out)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OwlError(f"cannot write {out}: {error.strerror or error}") from error
    click.echo(out)


def plugin_folder() -> Path:
    """Return where the plugin's files lie: in an installed package or in a checkout."""
    package = Path(__file__).parents[1]
    for place in (package / "_plugin" / NAME, package.parent / "qgis_plugin" / NAME):
        if (place / "metadata.txt").is_file():
            return place
    raise OwlError(f"the QGIS plugin is not beside {package}", remedy="install owl-geo anew")


def running_program() -> Path | None:
    """Return the absolute path of the ``owl-geo`` that runs, as a file that can be started.

    None where there is no such file, as for ``python -m owl_geo`` of a checkout.
    """
    folder = Path(sys.executable).parent  # links are not followed: they make the environment
    if sys.platform == "win32":
        places = [folder / "owl-geo.exe", folder / "Scripts" / "owl-geo.exe"]
    else:
        places = [folder / "owl-geo"]
        called = Path(sys.argv[0])
        if called.name == "owl-geo":
            places.insert(0, called.absolute())
    return next((path for path in places if path.is_file() and os.access(path, os.X_OK)), None)


def _title(source: Path) -> str:
    """Return the name that QGIS's list of plugins shows."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(source / "metadata.txt", encoding="utf-8")
    return metadata["general"]["name"]


def settings_folders() -> list[Path]:
    """Return QGIS's settings folders of this user: those that exist, else the one of QGIS 3.

    Raises OwlError where the system does not say where the user's data lie.
    """
    custom = os.environ.get("QGIS_CUSTOM_CONFIG_PATH")
    if custom:
        return [Path(custom)]
    base = _data_folder() / "QGIS"
    found = [base / name for name in _APPLICATIONS if (base / name).is_dir()]
    return found or [base / _APPLICATIONS[0]]


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
    """Return the folder of a profile. Raises OwlError for one that QGIS does not have."""
    profiles = settings / "profiles"
    known = sorted(path.name for path in profiles.glob("*") if path.is_dir())
    if name is None:
        name = _default_profile(profiles)
    elif known and name not in known:
        raise OwlError(
            f"QGIS has no profile {name!r} in {profiles}{did_you_mean(name, known)}",
            remedy="make it in QGIS first",
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
    """Copy the plugin to its place, whole; the old one goes once the new one is there.

    ``program`` is left with it, for the plugin to start.
    """
    if target.is_symlink():
        raise OwlError(f"{target} is a link to {target.readlink()}", remedy="remove it first")
    if target.exists() and not (target / "metadata.txt").is_file():
        raise OwlError(f"{target} is no QGIS plugin", remedy="move it away first")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{NAME}-", dir=target.parent) as folder:
            fresh = Path(folder) / "new"
            for path in _files(source):
                copy = fresh / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
            if program is not None:
                (fresh / PROGRAM_FILE).write_text(f"{program}\n", encoding="utf-8")
            if target.exists():
                target.rename(Path(folder) / "old")
            fresh.rename(target)
    except OSError as error:
        raise OwlError(f"cannot write {target}: {error.strerror or error}") from error


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
