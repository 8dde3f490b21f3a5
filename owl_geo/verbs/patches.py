"""The grid of a run as a layer that people can open: every patch and what is known about it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from owl_geo.disk.presence import exists, is_dir
from owl_geo.errors import RunError
from owl_geo.labels import consensus, newest_answers
from owl_geo.maps.grid import GridLayer, check_format, write_grid
from owl_geo.measures.uncertainty import uncertainty
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.paths import check_output
from owl_geo.search.search import Search
from owl_geo.types import FloatArray, IntArray
from owl_geo.verbs.current_model import CurrentModel
from owl_geo.verbs.prediction_folder import PredictionFolder
from owl_geo.work.progress import Progress, Reporter, silent, stretch_of
from owl_geo.work.workers import Workers

if TYPE_CHECKING:
    from owl_geo.learners.base import Learner


@dataclass(frozen=True)
class PatchLayer:
    """The file that was written.

    Args:
        path: the file.
        patches: patches in it.
        labelled: of these, those that have a label.
        has_model: whether probability and uncertainty are filled in.
    """

    path: Path
    patches: int
    labelled: int
    has_model: bool


def patches(
    run: AnyRun,
    path: str | os.PathLike[str],
    *,
    model: bool = True,
    overwrite: bool = False,
    device: str = "auto",
    workers: Workers | None = None,
    report: Reporter = silent,
) -> PatchLayer:
    """Write every patch of a run as a polygon, with its concepts, answers and predictions.

    The label is the one that counts among all annotators; ``round`` is the last one that asked for
    the patch. Probability and uncertainty are those of the model that the next query would learn,
    as in ``predict``, whose maps are used where they are up to date; they are empty while there is
    no model.

    Args:
        run: the run, or its folder.
        path: the file, whose format follows from the suffix: .gpkg, which opens styled in QGIS,
            .parquet, .geojson, .fgb or .csv.
        model: whether to fill in probability and uncertainty, for which pixels may be read.
        overwrite: replace an existing file.
        device: where a network runs.
        workers: who does the pool's work; None = threads of this process.
        report: given the name of each long piece of work, returns a function that is called as it
            progresses.

    Raises RunError where the file exists, its format is unknown, or the disk is full; SourceError
    where pixels that a prediction needs cannot be read. The file appears whole or not at all.
    """
    run, path = Run.of(run), Path(path)
    check_format(path)
    if is_dir(path):
        raise RunError(f"{path} is a folder", remedy="name a file")
    check_output(path)
    if exists(path) and not overwrite:
        raise RunError(f"{path} exists", remedy="choose another name, or use --overwrite")
    with run.at_one_moment():
        known = _known(run)
        predicted = _Predicted.of(run, device, workers, report) if model else None
    layer = GridLayer(
        run.index.windows,
        run.index.concepts,
        run.settings.classes,
        run.settings.positive,
        run.crs,
    )
    write_grid(path, layer, _by_scene(run, known, predicted, report("Patches")))
    return PatchLayer(path, len(known), int(known["label"].notna().sum()), predicted is not None)


def _known(run: Run) -> pd.DataFrame:
    """Return what is known of every patch without the model, row by row as in the index."""
    ids, history = run.patches["patch_id"], run.labels.history()
    labels = consensus(history).set_index("patch_id")["label"]
    by_patch = newest_answers(history).groupby("patch_id")["annotator"]
    annotators = by_patch.agg(lambda names: ", ".join(sorted(set(names))))
    rounds = {patch: entry.number for entry in run.rounds() for patch in entry.patch_ids}
    held_out = False if run.truth is None else run.truth["held_out"].to_numpy(dtype=bool)
    return pd.DataFrame(
        {
            "patch_id": ids,
            "scene": run.patches["scene"],
            "label": ids.map(labels).astype(object),
            "annotators": ids.map(annotators).astype(object),
            "round": ids.map(rounds).astype("Int64"),
            "held_out": held_out,
        }
    )


def _by_scene(
    run: Run, known: pd.DataFrame, predicted: _Predicted | None, progress: Progress | None
) -> Iterator[tuple[IntArray, pd.DataFrame]]:
    done = 0
    for scene, positions in run.patches.groupby("scene", sort=False, observed=True).indices.items():
        table = known.iloc[positions].copy()
        numbers = np.full((2, len(table)), np.nan)
        if predicted is not None:
            part = stretch_of(progress, done, len(known))
            numbers[:] = predicted.of_scene(str(scene), positions, part)
        table["probability"], table["uncertainty"] = numbers
        table["scene_crs"] = run.grids[str(scene)].crs
        yield positions, table
        done += len(table)
        if progress is not None:
            progress(done, len(known))


class _Predicted:
    """What the current model says about the patches of one scene after another."""

    def __init__(self, folder: PredictionFolder, search: Callable[[], Search]) -> None:
        self._folder = folder
        self._make_search = search

    @classmethod
    def of(
        cls, run: Run, device: str, workers: Workers | None, report: Reporter
    ) -> _Predicted | None:
        """Return None while there is no model."""
        model = CurrentModel.if_any(run)
        if model is None:
            return None
        return cls(
            PredictionFolder.of(run, model),
            lambda: run.search(device, workers, report),
        )

    @cached_property
    def _search(self) -> Search:
        return self._make_search()

    @cached_property
    def _learner(self) -> Learner:
        return self._folder.model.learner(self._folder.run, self._search)

    def of_scene(self, scene: str, positions: IntArray, progress: Progress | None) -> FloatArray:
        """Return probability and uncertainty of the scene's patches, float32 ``(2, n)``."""
        folder, run = self._folder, self._folder.run
        known = folder.scene_parts(scene)
        if known is not None:
            parts = [part[["probability", "uncertainty"]] for _, part in known]
            return np.concatenate(parts, dtype=np.float32).T
        members = self._search.members(self._learner, positions, folder.model.number, progress)
        doubt = uncertainty(members, run.settings.uncertainty.measure)
        of_positive = members.mean(axis=0)[:, self._search.positive]
        return np.stack([of_positive, doubt]).astype(np.float32)
