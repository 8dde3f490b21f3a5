"""``owl-geo status``: where a run stands."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owl_geo.cli import options as opt

if TYPE_CHECKING:
    from owl_geo.overview import Status
    from owl_geo.run_folder import Run


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo status RUN",
    short_help="Where the run stands and what to do next.",
)
@opt.run_folder
@opt.common
def status(run_path: Path) -> None:
    """Say where the run stands: answers, prevalence, last metrics, what to do next."""
    from owl_geo.overview import status as status_of
    from owl_geo.run_folder import Run

    opened = Run(run_path)
    now = status_of(opened)
    for name, text in [
        ("Run", f"{opened.path}, {opened.settings.source.kind} source"),
        ("Patches", _patches(now)),
        ("Batches", f"{now.batches}, {now.asked} patches asked"),
        ("Answers", _answers(opened, now)),
        ("Model", _model(opened, now)),
        ("Next", _next(opened, now)),
    ]:
        click.echo(f"{name + ':':<9}{text}")


def _patches(now: Status) -> str:
    held_out = f", {now.held_out} held out" if now.held_out else ""
    return f"{now.patches}, {now.askable} may still be asked{held_out}"


def _answers(opened: Run, now: Status) -> str:
    if not now.labels:
        return "none yet"
    counts = ", ".join(f"{n} {label}" for label, n in now.labels.items())
    text = f"{sum(now.labels.values())} patches: {counts}"
    if math.isnan(now.prevalence):
        return text
    return f"{text}; {now.prevalence:.1%} of the labelled are {opened.settings.positive}"


def _model(opened: Run, now: Status) -> str:
    if now.model is None:
        return "none yet"
    loss = f"loss {now.model.train_loss:.3f}"
    text = f"round {now.model.round}, fitted on {now.model.n_labeled} labels, {loss}"
    if not math.isnan(now.model.test_auc):
        return f"{text}, test AUC {now.model.test_auc:.3f}"
    if opened.settings.oracle is None:
        return f"{text}; no test AUC without an oracle"
    return f"{text}; test AUC is nan, the held-out patches have one class only"


def _next(opened: Run, now: Status) -> str:
    if now.next_step == "label":
        run, batch = opt.quoted(opened.path), opt.quoted(now.waiting or opened.path)
        return f"label {batch}, then owl-geo ingest {run} {batch}"
    if now.next_step == "nothing":
        return "nothing, the search is finished"
    if not now.askable:
        return "nothing, every patch is answered"
    return f"owl-geo {now.next_step} {opt.quoted(opened.path)}"
