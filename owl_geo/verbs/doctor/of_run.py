"""Checks of a run folder: settings, lock, patch index, files, answers and rounds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from owl_geo.disk.presence import absence, exists, is_dir
from owl_geo.errors import no_access
from owl_geo.verbs.doctor.findings import Check, Finding, State
from owl_geo.verbs.doctor.installation import check_folder
from owl_geo.wording import as_typed, counted

if TYPE_CHECKING:
    from owl_geo.run_folder.folder import Run


def run_checks(path: Path) -> Iterator[Check]:
    """Return the checks of a run folder; later ones only if its settings can be read."""
    opened: list[Run] = []
    is_folder = False

    def settings() -> Iterator[Finding]:
        from owl_geo.run_folder.folder import Run

        opened.append(Run(path))
        yield Finding("ok", f"{path}: owl.toml can be read")

    yield "settings", settings
    with suppress(OSError):  # the first check has said why
        is_folder = is_dir(path)
    if is_folder:
        yield "run folder", partial(check_folder, path)
        yield "partial files", partial(_partial, path)
    if opened:
        run = opened[0]
        yield "lock", partial(_lock, run)
        yield "patch index", partial(_index, run)
        yield "scenes", partial(_scenes, run)
        yield "layers", partial(_layers, run)
        yield "answers", partial(_answers, run)
        yield "rounds", partial(_rounds, run)


def _partial(path: Path) -> Iterator[Finding]:
    partials = list(path.rglob(".*.partial*"))
    partials += list(path.absolute().parent.glob(f".{path.absolute().name}.partial-*"))
    if not partials:
        yield Finding("ok", "there are no half-written files")
    for partial_path in sorted(partials):
        yield Finding(
            "note",
            f"{partial_path} was left by a command that was killed, or is being written now; it "
            "does no harm",
            "delete it when no owl-geo is running",
        )


def _lock(run: Run) -> Iterator[Finding]:
    from owl_geo.errors import BusyError, RunError
    from owl_geo.run_folder.paths import LOCK

    was_there = exists(run.path / LOCK)
    try:
        with run.locked():
            pass
    except RunError as error:
        state: State = "note" if isinstance(error, BusyError) else "problem"
        yield Finding(state, error.message, error.remedy)
        return
    if not was_there:
        (run.path / LOCK).unlink(missing_ok=True)
    yield Finding("ok", "no other owl-geo is working on it")


def _index(run: Run) -> Iterator[Finding]:
    from owl_geo.sources.band_wording import in_short

    patches, bands = len(run.patches), in_short(run.index.statistics.bands)
    if run.settings.oracle is not None and run.truth is not None and len(run.truth) != patches:
        update = f"run owl-geo init {as_typed(run.called)} --update"
        yield Finding(
            "problem",
            f"truth.parquet has {counted(len(run.truth), 'row')}, not {patches:,}",
            update,
        )
    yield Finding("ok", f"{counted(patches, 'patch')}, bands {bands}")


def _scenes(run: Run) -> Iterator[Finding]:
    from owl_geo.settings import owl_toml

    toml = run.path / owl_toml.FILE_NAME
    missing = list(run.scenes.missing)
    for kind, name, what in missing:
        remedy = f"put it back, or give its new path in {toml}"
        yield Finding("problem", f"{kind} {name!r}: {what}", remedy)
    changed = [f"scene {name!r}" for name in run.scenes.changed_scenes]
    changed += [f"view {name!r}" for name in run.scenes.changed_views]
    for which in changed:
        yield Finding(
            "problem",
            f"{which} has changed since the run was made",
            f"restore it, or run owl-geo init {as_typed(run.called)} --update",
        )
    if not missing and not run.scenes.changed:
        bands = run.source.bands  # opens every header
        yield Finding(
            "ok",
            f"all scenes are present and unchanged: {counted(len(run.grids), 'scene')} of "
            f"{counted(len(bands), 'band')}",
        )
        if run.settings.views:
            names = ", ".join(run.settings.views)
            yield Finding("ok", f"all views are present and unchanged: {names}")


def _layers(run: Run) -> Iterator[Finding]:
    """Check the files that are needed only to rebuild the index."""
    from owl_geo.settings.paths import is_local

    named = run.settings_here.named_files("layers", "concepts", "oracle")
    files = [path for _, path in named]
    missing = [fault for file in files if is_local(file) and (fault := absence(file)) is not None]
    for fault in missing:
        yield Finding(
            "note",
            f"{fault.what}; its concepts are kept in the run",
            f"put it back before owl-geo init {as_typed(run.called)} --update or owl-geo add",
        )
    if files and not missing:
        yield Finding("ok", f"all layers, rasters and truth are present: {len(files):,}")


def _answers(run: Run) -> Iterator[Finding]:
    history = run.labels.history()
    yield Finding("ok", f"answers in {run.labels.name}: {len(history):,}")
    unknown = ~history["patch_id"].isin(run.patches["patch_id"])
    if unknown.any():
        first = history["patch_id"][unknown].iloc[0]
        yield Finding(
            "problem",
            f"{counted(int(unknown.sum()), 'answer is', 'answers are')} for patches that the index "
            f"lacks, for example {first}",
            "restore the original source in owl.toml",
        )


def _rounds(run: Run) -> Iterator[Finding]:
    rounds = run.rounds()
    for entry in rounds:
        if entry.batch_id is None:
            continue
        for path in run.batch_paths(entry).values():
            try:
                what = "" if exists(path) else f"{path} is missing"
            except OSError as error:
                what = no_access(path, error).what
            if what:
                yield Finding(
                    "note",
                    f"{what}; answers that were ingested are kept",
                    "restore it if it held answers that were not ingested",
                )
    yield Finding("ok", f"all records of rounds are complete: {len(rounds):,}")
