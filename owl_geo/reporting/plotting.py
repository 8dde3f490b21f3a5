"""``owl-geo plot``: a run's pictures as files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from owl_geo.disk.atomic import writing_file
from owl_geo.disk.file_names import file_names
from owl_geo.reporting.curves import curves_of, discovery, learning
from owl_geo.reporting.figures import Format, rendered
from owl_geo.reporting.maps import answers_map, likely_map
from owl_geo.reporting.survey import Survey
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.paths import check_output
from owl_geo.verbs.status import status
from owl_geo.work.progress import Reporter, silent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "plots"
_FORMATS: tuple[Format, ...] = ("png", "svg")


def plot(
    run: AnyRun,
    out: str | os.PathLike[str] | None = None,
    *,
    device: str = "auto",
    report: Reporter = silent,
) -> list[Path]:
    """Draw a run's pictures as PNG and SVG; return the files.

    ``discovery`` and ``learning`` are its curves. ``map_<scene>`` shows batches and answers over
    the scene, ``likely_<scene>`` what the model predicts; if there are many scenes, only the four
    with the most questions are drawn. Pictures of the same names are replaced.

    Args:
        run: the run, or its folder; it may have no answers yet.
        out: a folder, created if it does not exist; None = ``plots`` in the run's folder.
        device: where a network runs.
        report: given the name of each long piece of work, returns a function that is called as it
            progresses.

    Raises RunError if the run is damaged, or the files cannot be written.
    """
    run = Run.of(run)
    folder = Path(out) if out is not None else run.path / FOLDER
    check_output(folder)
    written = []
    with run.at_one_moment():
        survey = Survey.of(run, device=device, report=report)
        for name, figure in _pictures(survey):
            for kind in _FORMATS:
                path = folder / f"{name}.{kind}"
                with writing_file(path) as partial:
                    partial.write_bytes(rendered(figure, kind))
                written.append(path)
    return written


def _pictures(survey: Survey) -> Iterator[tuple[str, Figure]]:
    curves = curves_of(survey, status(survey.run))
    yield "discovery", discovery(curves, survey.run.settings.positive)
    yield "learning", learning(curves)
    files = file_names(list(survey.run.grids))
    for scene in survey.scenes:
        yield f"map_{files[scene]}", answers_map(survey, scene)
        if survey.opinion.is_known.any():
            yield f"likely_{files[scene]}", likely_map(survey, scene)
