"""``owl-geo report``: a run as one HTML file, for people who decide what happens next."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from owl_geo.disk.atomic import writing_file
from owl_geo.disk.presence import exists, is_dir
from owl_geo.errors import RunError
from owl_geo.reporting.page import page
from owl_geo.reporting.sections import answers, audit, model, overview
from owl_geo.reporting.survey import Survey
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.paths import check_output
from owl_geo.verbs.status import status
from owl_geo.work.progress import Reporter, silent

FILE_NAME = "report.html"


def report(
    run: AnyRun,
    path: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    device: str = "auto",
    report: Reporter = silent,
) -> Path:
    """Write a run's report, one HTML file that includes its pictures, and return its path.

    No answers are needed: a run has a report even before its first batch. Scenes that cannot be
    read are named, and their pictures are missing.

    Args:
        run: the run, or its folder.
        path: the file; None = ``report.html`` in the run's folder, which is always replaced.
        overwrite: replace another file that exists.
        device: where a network runs.
        report: given the name of each long piece of work, returns a function that is called as it
            progresses.

    Raises RunError if the run is damaged, or the file exists or cannot be written.
    """
    run = Run.of(run)
    own = run.path / FILE_NAME
    target = Path(path) if path is not None else own
    if is_dir(target):
        raise RunError(
            f"{target} is a folder", remedy=f"name a file in it, such as {target / FILE_NAME}"
        )
    check_output(target)
    if exists(target) and not overwrite and target.resolve() != own.resolve():
        raise RunError(f"{target} exists", remedy="choose another name, or use --overwrite")
    with run.at_one_moment():
        text = _document(run, device, report)
    with writing_file(target) as partial:
        partial.write_text(text, encoding="utf-8", errors="replace")
    return target


def _document(run: Run, device: str, report: Reporter) -> str:
    now = status(run)
    survey = Survey.of(run, device=device, report=report)
    parts = [
        overview.introduction(survey, now),
        overview.standing(run, now),
        answers.maps(survey),
        answers.course(survey, now),
        model.likely(survey),
        model.patches_to_look_at(survey),
        model.concepts(survey, now),
        audit.audit(run.settings.positive, now),
        answers.team(survey, now),
        answers.comments(survey),
        overview.settings(run),
    ]
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    title = f"Search for {run.settings.positive}"
    return page(title, [part for part in parts if part], f"owl-geo {version('owl-geo')}, {when}")
