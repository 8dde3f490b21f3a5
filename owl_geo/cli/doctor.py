"""``owl-geo doctor``: what is wrong with this computer, or with a run."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import click

from owl_geo.cli import options as opt
from owl_geo.cli import plugin
from owl_geo.verbs import doctor as checks
from owl_geo.verbs.doctor import Finding


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo doctor RUN",
    short_help="Check this installation, and a run.",
)
@click.argument("run_path", metavar="[RUN]", required=False, type=click.Path(path_type=Path))
@opt.common
def doctor(run_path: Path | None) -> int:
    """Check the installation, QGIS and its plugin, and with RUN that run too.

    A line for each: ok, note (nothing that must be done), or problem, with what to do. With RUN
    the lines on the installation that are ok are shown under -v only, with -q none that is ok. The
    exit code is 1 if there is a problem.
    """
    problems = 0
    for finding, is_shown in _findings(run_path):
        if finding.state == "ok" and not is_shown:
            continue
        problems += finding.state == "problem"
        remedy = f"; {finding.remedy}" if finding.remedy else ""
        line = f"{finding.state:<9}{finding.what}{remedy}"
        if finding.state == "ok":
            opt.say(line)
        else:
            click.echo(line)
        sys.stdout.flush()  # before the next check, which may take long
    said = "1 problem" if problems == 1 else f"{problems or 'no'} problems"
    opt.say(said)
    if problems:
        opt.end_json(said, 1)
    return 1 if problems else 0


def _findings(run_path: Path | None) -> Iterator[tuple[Finding, bool]]:
    """Return each finding, and whether it is worth a line although it is ok."""
    of_machine = chain(checks.environment(), [("QGIS", _qgis), ("QGIS plugin", _plugin)])
    for finding in checks.examine(of_machine):
        yield finding, run_path is None or opt.is_verbose()
    if run_path is not None:
        for finding in checks.examine(checks.run_checks(run_path)):
            yield finding, True


def _qgis() -> Iterator[Finding]:
    found = _qgis_places()
    if found:
        yield Finding("ok", f"QGIS: {found[0]}")
    else:
        yield Finding("note", "QGIS was not found", "install it from qgis.org to label batches")


def _qgis_places() -> list[Path]:
    on_path = [shutil.which(name) for name in ("qgis", "qgis-bin", "qgis-ltr")]
    places = [Path(name) for name in on_path if name]
    if sys.platform == "win32":
        for variable in ("ProgramFiles", "ProgramW6432"):
            folder = os.environ.get(variable)
            places += sorted(Path(folder).glob("QGIS*")) if folder else []
        places += [path for path in (Path("C:/OSGeo4W"),) if (path / "bin").is_dir()]
    elif sys.platform == "darwin":
        places += sorted(Path("/Applications").glob("QGIS*.app"))
    return places


def _plugin() -> Iterator[Finding]:
    ours = _version(plugin.plugin_folder())
    installed = [
        place
        for settings in plugin.settings_folders()
        for place in sorted(settings.glob(f"profiles/*/python/plugins/{plugin.NAME}"))
    ]
    if not installed:
        yield Finding("note", "the QGIS plugin is not installed", "owl-geo plugin install")
    for place in installed:
        theirs = _version(place)
        if theirs == ours:
            yield Finding("ok", f"QGIS plugin {theirs} in {place}")
        else:
            what = f"QGIS plugin {theirs or 'without a version'} in {place}, but owl-geo has {ours}"
            yield Finding("problem", what, "owl-geo plugin install, then restart QGIS")


def _version(folder: Path) -> str:
    """Return the version that a plugin's metadata.txt says; empty where it says none."""
    try:
        lines = (folder / "metadata.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    return next((line[8:].strip() for line in lines if line.startswith("version=")), "")
