"""``owl-geo doctor``: what is wrong with this installation, or with a run."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owl_geo.cli import options as opt
from owl_geo.cli import plugin
from owl_geo.wording import counted

if TYPE_CHECKING:
    from owl_geo.verbs.doctor.findings import Finding


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo doctor RUN",
    short_help="Check this installation, or a run.",
)
@click.argument("run_path", metavar="[RUN]", required=False, type=opt.LocalPath())
@opt.common
def doctor(run_path: Path | None) -> int:
    """Check the installation, QGIS and its plugin, and also RUN if you name one.

    Prints a line for each check: ok, note (nothing you must do), or problem, with what to do. With
    RUN, checks of the installation that are ok are shown only with -v; -q hides every ok. The exit
    code is 1 if there is a problem.
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
    total = counted(problems, "problem") if problems else "no problems"
    opt.say(total)
    if problems:
        opt.end_json(total, 1)
    return 1 if problems else 0


def _findings(run_path: Path | None) -> Iterator[tuple[Finding, bool]]:
    """Yield each finding, and whether it is shown even if it is ok."""
    from owl_geo.verbs.doctor.findings import examine
    from owl_geo.verbs.doctor.installation import environment
    from owl_geo.verbs.doctor.of_run import run_checks

    of_machine = chain(environment(), [("QGIS", _qgis), ("QGIS plugin", _plugin)])
    for finding in examine(of_machine):
        yield finding, run_path is None or opt.is_verbose()
    if run_path is not None:
        for finding in examine(run_checks(run_path)):
            yield finding, True


def _qgis() -> Iterator[Finding]:
    from owl_geo.verbs.doctor.findings import Finding

    programs = _qgis_programs()
    if programs:
        yield Finding("ok", f"QGIS: {programs[0]}")
    else:
        yield Finding("note", "QGIS was not found", "install it from qgis.org to label batches")


def _qgis_programs() -> list[Path]:
    on_path = [shutil.which(name) for name in ("qgis", "qgis-bin", "qgis-ltr")]
    programs = [Path(name) for name in on_path if name]
    if sys.platform == "win32":
        for variable in ("ProgramFiles", "ProgramW6432"):
            folder = os.environ.get(variable)
            programs += sorted(Path(folder).glob("QGIS*")) if folder else []
        programs += [path for path in (Path("C:/OSGeo4W"),) if (path / "bin").is_dir()]
    elif sys.platform == "darwin":
        programs += sorted(Path("/Applications").glob("QGIS*.app"))
    return programs


def _plugin() -> Iterator[Finding]:
    from owl_geo.verbs.doctor.findings import Finding

    ours = _version(plugin.plugin_folder())
    installed = [
        folder
        for settings in plugin.settings_folders()
        for folder in sorted(settings.glob(f"profiles/*/python/plugins/{plugin.NAME}"))
    ]
    if not installed:
        yield Finding("note", "the QGIS plugin is not installed", "owl-geo plugin install")
    for folder in installed:
        theirs = _version(folder)
        if theirs == ours:
            yield Finding("ok", f"QGIS plugin {theirs} in {folder}")
        else:
            version = theirs or "without a version"
            fault = f"QGIS plugin {version} in {folder}, but owl-geo has {ours}"
            yield Finding("problem", fault, "owl-geo plugin install, then restart QGIS")


def _version(folder: Path) -> str:
    """Return the version in a plugin's metadata.txt; empty if there is none."""
    try:
        lines = (folder / "metadata.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    return next((line[8:].strip() for line in lines if line.startswith("version=")), "")
