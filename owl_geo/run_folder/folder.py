"""The run folder: everything of one search, on disk, so that any process can go on from there.

Each file has one writer and appears whole: the folder itself and every round are written beside
their place and renamed into it. Answers are the only thing that is appended to.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow
from pyproj import CRS

from owl_geo.disk.atomic import finish_replacing, locked, writing_file, writing_folder
from owl_geo.disk.file_names import file_names
from owl_geo.errors import RunError, SourceError
from owl_geo.features import KEPT_SCENES
from owl_geo.ground.footprints import common_crs, footprints
from owl_geo.labels import LabelStore, consensus, disputed
from owl_geo.labels.geopackage import GeoPackageLabels
from owl_geo.measures.metrics import to_csv
from owl_geo.run_folder import patch_table
from owl_geo.run_folder.records import DAMAGE, Round, grid_of, grid_record, index_record
from owl_geo.run_folder.states import GONE, Known, changes, file_states, known_files
from owl_geo.search import Answers, Search, class_numbers
from owl_geo.settings import owl_toml
from owl_geo.settings.config import CubeSettings, GeoTiffSettings, Settings
from owl_geo.sources import open_source
from owl_geo.sources.base import PatchSource, positions_of
from owl_geo.types import Answer, BandStatistics, BoolArray, SceneGrid
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Workers

if TYPE_CHECKING:
    import torch

log = logging.getLogger("owl_geo")

PATCHES = "patches.parquet"
TRUTH = "truth.parquet"
INDEX = "index.json"
LABELS = "labels.gpkg"
METRICS = "metrics.csv"
ROUNDS = "rounds"
BATCH = "batch.gpkg"
MODEL = "model.safetensors"
RECORD = "round.json"
FEATURES = "features"
LAYERS = "layers"
LOCK = ".lock"
WAITING = ".adding"  # files of an addition that is decided and not yet in place


ORACLE = "oracle"  # the annotator's name in simulated answers


class Run:
    """A run folder, opened; raises ConfigError or RunError where it is none."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        is_elsewhere = not is_run(self.path) and (_run_around(self.path) or _runs_in(self.path))
        if not self.path.is_dir() or is_elsewhere:
            raise RunError(_no_run(self.path))
        self._finish_addition()
        self.settings: Settings = owl_toml.load(self.path / owl_toml.FILE_NAME)

    @classmethod
    def of(cls, run: AnyRun) -> Run:
        """Return a run that is given, or open that of a folder."""
        return run if isinstance(run, Run) else cls(run)

    @cached_property
    def settings_here(self) -> Settings:
        """The settings with relative paths made to start at the run's folder."""
        return owl_toml.from_folder(self.settings, self.path)

    @cached_property
    def patches(self) -> pd.DataFrame:
        """The patch index with one column per concept, in the source's reading order.

        ``footprints`` has the polygons.

        Raises RunError where owl.toml has since been edited in a way that would make another one.
        """
        if self._index_record["made_from"] != fingerprint(self.settings):
            moved = self._index_record["made_from_elsewhere"] == fingerprint(
                self.settings, places=False
            )
            if not moved or self.changed_scenes:
                raise RunError(
                    f"{self.path / owl_toml.FILE_NAME}: source, layers, concepts, oracle or "
                    "evaluation changed since the patch index was made; "
                    f"run `owl-geo init {self.path} --update`"
                )
        return self._table(PATCHES, patch_table.read)

    @cached_property
    def grids(self) -> dict[str, SceneGrid]:
        """The pixel grid of each scene as it was indexed."""
        return {
            name: grid_of(name, record) for name, record in self._index_record["scenes"].items()
        }

    @cached_property
    def crs(self) -> CRS:
        """The CRS of the footprints: the scenes' own where they share one, else EPSG:4326."""
        return common_crs(self.grids)

    def footprints(self, ids: Sequence[str]) -> gpd.GeoSeries:
        """Return the polygons of patches, by patch_id; raises SourceError for an unknown id."""
        rows = self.patches.iloc[positions_of(self.patches, ids)]
        return footprints(rows, self.grids, self.settings.patch_size)

    @cached_property
    def _index_record(self) -> dict[str, Any]:
        path = self._required(INDEX)
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return index_record(values)
        except DAMAGE as error:
            raise RunError(f"{path} is damaged; run `owl-geo init {self.path} --update`") from error

    @property
    def parts(self) -> tuple[int, ...]:
        """How many patches the pool had when it was made, and after each addition of scenes.

        The patches of an addition stand behind all others in the index.
        """
        return tuple(self._index_record["parts"]) or (len(self.patches),)

    @property
    def pool_since(self) -> int:
        """The first round that could ask of the whole pool of today; scenes may be added later."""
        return int(self._index_record["since"])

    @cached_property
    def scene_ids(self) -> dict[str, str]:
        """What tells each scene's patches and pixels from others, by scene: a digest.

        It is of the scene's entry in owl.toml, the bands, how scenes are cut, masks and area of
        interest, the scene's grid, and size and time of its files. What lies behind a URL or a VRT
        is not looked at.
        """
        source, here = self.settings.source, self.settings_here.source
        shared = [
            source.model_dump(mode="json", exclude={"scenes"}),
            self._index_record["statistics"]["bands"],
        ]
        own: dict[str, list[Any]] = {name: [] for name in self.grids}
        if isinstance(source, GeoTiffSettings) and isinstance(here, GeoTiffSettings):
            shared += [
                any(scene.mask for scene in source.scenes),  # decides whose values mask_bad are
                file_states(here.aoi),
            ]
            for named, scene in zip(source.scenes, here.scenes, strict=True):
                places = [scene.path, *scene.files, scene.mask]
                own[scene.name] = [named.model_dump(mode="json"), *map(file_states, places)]
        elif isinstance(here, CubeSettings):
            shared += [file_states(here.path, whole=False), file_states(here.aoi)]
        ids = {
            name: _digest([name, shared, self._index_record["scenes"].get(name), values])
            for name, values in own.items()
        }
        gone = [name for name, values in own.items() if GONE in values[1:]]
        return {**ids, **self._known_ids(gone)}

    def _known_ids(self, gone: Sequence[str]) -> dict[str, str]:
        """Return what told scenes apart when features were last kept, for those without a file.

        What was computed of a scene serves although its file is gone, until there is another.
        """
        if not gone:
            return {}
        try:
            values = json.loads((self.path / FEATURES / KEPT_SCENES).read_text(encoding="utf-8"))
            return {name: str(values[name]) for name in gone if name in values}
        except DAMAGE:
            return {}

    def scene_id(self, name: str) -> str:
        """Return what ``scene_ids`` says of one scene; KeyError where there is none."""
        return self.scene_ids[name]

    @property
    def known_files(self) -> dict[str, list[list[Known]]]:
        """What the files of each scene were when the index was made, by scene and place."""
        return dict(self._index_record["files"])

    @cached_property
    def changed_scenes(self) -> dict[str, str]:
        """The scenes whose files are others than when the index was made: a digest of what is new.

        Moved or copied files are the same. Of a scene that is gone, or that an older version made,
        nothing is said.
        """
        changed = {}
        for name, places in scene_places(self.settings_here, self.grids).items():
            known = self.known_files.get(name, [])
            try:
                found = [changes(*both) for both in zip(places, known, strict=False)]
            except OSError:  # whoever opens it says so
                continue
            if any(found) or (known and len(known) != len(places)):
                changed[name] = _digest([found, len(places)])
        return changed

    def _finish_addition(self) -> None:
        """Put an addition of scenes in place that was decided when its process was killed."""
        if (self.path / WAITING).is_dir():
            with self.locked():
                finish_replacing(self.path, WAITING)

    def made_for(self) -> dict[str, Any] | None:
        """Bands, classes and patch size that the run was made for; None where that is lost."""
        try:
            record = json.loads((self.path / INDEX).read_text(encoding="utf-8"))
            return {name: record["made_for"][name] for name in ("bands", "classes", "patch_size")}
        except DAMAGE:
            return None

    @property
    def concepts(self) -> pd.DataFrame:
        """The concept columns of the patch index."""
        return self.patches[list(self.settings.concepts)]

    @cached_property
    def truth(self) -> pd.DataFrame | None:
        """patch_id, label (None where the truth does not say), held_out and tested, in index order.

        None for a run without an oracle.
        """
        if self.settings.oracle is None:
            return None
        return self._table(TRUTH, pd.read_parquet)

    @cached_property
    def statistics(self) -> BandStatistics:
        """The band statistics that models standardise by."""
        values = self._index_record["statistics"]
        return BandStatistics(
            tuple(values["bands"]),
            np.array(values["median"], dtype=np.float32),
            np.array(values["scale"], dtype=np.float32),
            values["n_patches"],
        )

    @cached_property
    def labels(self) -> LabelStore:
        """Every answer ever given; see ``label_store``."""
        return self.label_store()

    def label_store(self, crs: CRS | None = None, *, check: bool = True) -> LabelStore:
        """Open the store that owl.toml names: ``labels.gpkg``, or PostGIS.

        ``crs`` is that of the footprints, in place of the run's own. Raises RunError where the
        store is a database that does not know the run yet, or ``labels.gpkg`` holds answers that
        it lacks; without ``check`` that is not looked for.
        """
        file = GeoPackageLabels(self.path / LABELS, self.crs if crs is None else crs)
        if self.settings.labels is None:
            return file
        from owl_geo.labels.database import Database
        from owl_geo.labels.postgis import PostGISLabels

        store = PostGISLabels(Database(self.settings.labels), self.settings.run_id, file.crs)
        if check:
            store.check_known()
        if check and file.path.exists():
            rows = file.history().drop(columns="seq").to_dict("records")
            lacking = store.lacks([Answer(**row) for row in rows])
            if lacking:
                raise RunError(
                    f"{file.path} holds {len(lacking)} answers that {self.settings.labels} lacks; "
                    f"run `owl-geo labels import {self.path} {file.path}`, or move the file away"
                )
        return store

    @cached_property
    def source(self) -> PatchSource:
        """The patches' pixels; the stored index spares another scan of the scenes.

        Warns of scenes whose files have changed. Raises RunError where a scene is not the one that
        was indexed, by its header, and SourceError where its file is gone.
        """
        index = self.patches
        self._check_places()
        source = open_source(self.settings_here.source, index=index)
        if source.bands != self.statistics.bands:
            raise RunError(
                f"the source's bands are {', '.join(source.bands)}, {self.path} was made for "
                f"{', '.join(self.statistics.bands)}; restore them, or run "
                f"`owl-geo init {self.path} --update`"
            )
        known = self._index_record["scenes"]
        for name, grid in source.grids.items():
            if known.get(name) != grid_record(grid):
                raise RunError(
                    f"scene {name!r} was replaced: its CRS, place or size is not what it was when "
                    f"{self.path} was made; restore it, or run `owl-geo init {self.path} --update`"
                )
        self._warn_of_changes()
        return source

    def _warn_of_changes(self) -> None:
        for name in self.changed_scenes:
            log.warning(
                "scene %r changed since %s was made: its pixels are read anew, but its patches, "
                "their concepts and the statistics of the bands are those of before; restore it, "
                "or run `owl-geo init %s --update`",
                *(name, self.path, self.path),
            )

    def _check_places(self) -> None:
        for name, places in scene_places(self.settings_here, self.grids).items():
            for place in places:
                if owl_toml.is_local(place) and not Path(place).exists():
                    raise SourceError(
                        f"scene {name!r}: {place} does not exist; put it back, or say in "
                        f"{self.path / owl_toml.FILE_NAME} where it is now"
                    )

    def rounds(self) -> list[Round]:
        """Return every round on disk, oldest first; raises RunError where one is damaged."""
        found = []
        for folder in sorted((self.path / ROUNDS).glob("[0-9]*")):
            record = folder / RECORD
            try:
                found.append(Round.from_json(record.read_text(encoding="utf-8")))
            except DAMAGE as error:
                raise RunError(
                    f"{record} is damaged ({error}); restore it, or move {folder} away"
                ) from error
        for place, entry in enumerate(found):
            if entry.number != place:
                raise RunError(f"{self.path / ROUNDS} lacks round {place:03d}; restore that folder")
        return found

    def waiting(self) -> Round | None:
        """Return the last round if it asked a batch and answers have not arrived; see ``waits``."""
        rounds = self.rounds()
        return rounds[-1] if rounds and self.waits(rounds[-1]) else None

    def waits(self, entry: Round) -> list[Path]:
        """Return which files of a round's batch wait for their first answer.

        A part of a team's batch waits until its annotator has answered something, or somebody who
        is not of the team a patch of it, or all of it that is nobody else's is answered.
        """
        if entry.batch_id is None:
            return []
        history = self.labels.history()
        history = history[history["batch_id"] == entry.batch_id]
        if not entry.team:
            return [] if len(history) else [self.batch_path(entry.number)]
        files = self.batch_paths(entry)
        outside = history[~history["annotator"].isin(list(entry.team))]
        waiting = []
        for name, places in entry.team.items():
            others = {place for other in entry.team if other != name for place in entry.team[other]}
            own = {entry.patch_ids[place] for place in places}
            alone = {entry.patch_ids[place] for place in places if place not in others}
            is_done = (
                (history["annotator"] == name).any()
                or outside["patch_id"].isin(own).any()
                or (alone and alone <= set(history["patch_id"]))
            )
            if places and not is_done:
                waiting.append(files[name])
        return waiting

    def pool(self, current: pd.DataFrame) -> BoolArray:
        """Which patches may be asked, ``(n,)`` over the index: not answered, and not held out.

        ``current`` is what the label store says at this moment.
        """
        free: BoolArray = ~self.patches["patch_id"].isin(current["patch_id"]).to_numpy()
        return free & ~self.truth["held_out"].to_numpy() if self.truth is not None else free

    def is_finished(self) -> bool:
        """Whether the last fit is done, and the budget of rounds, perhaps raised since, is spent.

        Only a search that an oracle answers ends; people stop when they have found enough.
        """
        rounds = self.rounds()
        if self.settings.oracle is None or not rounds or rounds[-1].batch_id is not None:
            return False
        return not self.budget_is_left(rounds)

    def budget_is_left(self, rounds: Sequence[Round]) -> bool:
        """Whether a search with an oracle has another batch to ask."""
        asked = sum(entry.batch_id is not None for entry in rounds)  # the first batch included
        return asked <= self.settings.loop.rounds and bool(self.pool(self.labels.current()).any())

    def search(
        self,
        device: torch.device,
        workers: Workers | None = None,
        report: Reporter = silent,
        source: PatchSource | None = None,
    ) -> Search:
        """The search over this run's pool, in memory; ``source`` in place of the run's own."""
        return Search(
            self.settings_here,
            self.patches,
            self.source if source is None else source,
            self.statistics,
            self.truth,
            device=device,
            keep=self.path / FEATURES,
            scene_ids=self.scene_ids,
            workers=workers,
            report=report,
            # the inputs of a model that goes on from round to round must stay
            n_encoded=self.parts[0] if self.settings.model.by_gradient else None,
        )

    def answers(self, history: pd.DataFrame, seen: int) -> Answers:
        """What all answers say, as the search knows it; fresh is what came after ``seen``."""
        current = consensus(history)
        known = current[current["label"].isin(self.settings.classes)]
        return Answers(
            positions=positions_of(self.patches, known["patch_id"].tolist()),
            labels=class_numbers(self.settings.classes, known["label"]),
            fresh=(known["seq"] > seen).to_numpy(),
            closed=positions_of(self.patches, current["patch_id"].tolist()),
            again=positions_of(self.patches, disputed(history)),
        )

    def round_folder(self, number: int) -> Path:
        """Where round ``number`` lies, or will."""
        return self.path / ROUNDS / f"{number:03d}"

    def batch_path(self, number: int) -> Path:
        """The batch GeoPackage of a round that was not dealt out to a team."""
        return self.round_folder(number) / BATCH

    def batch_paths(self, entry: Round) -> dict[str | None, Path]:
        """The files of a round's batch by annotator; under None the one for everybody.

        Whoever gets nothing of a batch that is smaller than the team has no file.
        """
        if not entry.team:
            return {None: self.batch_path(entry.number)}
        names = file_names([*entry.team])
        whole = self.batch_path(entry.number)
        return {
            who: whole.with_stem(f"{whole.stem}-{names[who]}")
            for who, places in entry.team.items()
            if places
        }

    def model_path(self, number: int) -> Path:
        """The model that chose the batch of a round."""
        return self.round_folder(number) / MODEL

    def publish(self, entry: Round, write: Callable[[Path], None]) -> None:
        """Put a round into its place, whole: ``write`` fills a folder that is then renamed.

        Raises RunError where the disk is full or the folder cannot be written.
        """
        target = self.round_folder(entry.number)
        with writing_folder(target) as partial:
            write(partial)
            (partial / RECORD).write_text(entry.to_json(), encoding="utf-8")
        self.sync_metrics()

    def sync_metrics(self) -> None:
        """Make metrics.csv say what the rounds say; a file that already does is left alone."""
        text = to_csv(entry.metrics for entry in self.rounds())
        path = self.path / METRICS
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return
        with writing_file(path) as partial:
            partial.write_text(text, encoding="utf-8")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from adding a round; the lock goes when this process does.

        Raises RunError where another process has it.
        """
        busy = f"another owl-geo is working on {self.path}; wait until it is done, then try again"
        with locked(self.path / LOCK, busy):
            yield

    def _table(self, name: str, read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame:
        path = self._required(name)
        try:
            return read(path)
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            raise RunError(f"{path} is damaged; run `owl-geo init {self.path} --update`") from error

    def _required(self, name: str) -> Path:
        path = self.path / name
        if not path.exists():
            raise RunError(f"{path} is missing; run `owl-geo init {self.path} --update`")
        return path


AnyRun = Run | str | os.PathLike[str]  # a run, or its folder


def _no_run(path: Path) -> str:
    """Say that there is no run, and which may be meant: one around it, or of a like name."""
    absolute, around = path.absolute(), _run_around(path)
    if around is not None:
        # as the user would write it: the path given, cut short
        levels = absolute.parents.index(around)
        meant = path.parents[levels] if levels < len(path.parents) else around
        return f"no run folder at {path}; did you mean {str(meant)!r}, the run that it lies in?"
    inside = _runs_in(absolute)
    if inside:
        named = " or ".join(repr(str(path / name)) for name in inside[:3])
        return f"no run folder at {path}, but in it; did you mean {named}?"
    runs = _runs_in(absolute.parent)
    folded = {name.casefold(): name for name in runs}
    near = difflib.get_close_matches(path.name.casefold(), list(folded), n=1)
    meant_name = f"did you mean {str(path.parent / folded[near[0]])!r}? If not, " if near else ""
    return f"no run folder at {path}; {meant_name}make one with `owl-geo init`"


def _runs_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if is_run(entry))
    except OSError:
        return []


def _run_around(path: Path) -> Path | None:
    """Return the run that a file or folder lies in; a run of its own is no part of another."""
    return next((place for place in path.absolute().parents if is_run(place)), None)


def is_run(path: Path) -> bool:
    """Whether the folder holds a run."""
    return (path / owl_toml.FILE_NAME).is_file()


def fingerprint(settings: Settings, *, places: bool = True) -> str:
    """Return a digest of the settings that decide the patch index, truth and held-out part.

    Without ``places`` it does not matter where on this machine the scenes lie.
    """
    decisive = {"seed", "classes", "source", "layers", "concepts", "oracle", "evaluation"}
    if places:
        text = settings.model_dump_json(include=decisive)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
    values = settings.model_dump(mode="json", include=decisive)
    source = values["source"]
    for holder in (*source.get("scenes", ()), *([source] if "path" in source else ())):
        for key in ("path", "mask"):
            if holder.get(key) and owl_toml.is_local(holder[key]):
                holder[key] = "a file"
        holder["files"] = ["a file" if owl_toml.is_local(f) else f for f in holder.get("files", ())]
    return _digest([values])


def scene_places(settings: Settings, names: Collection[str]) -> dict[str, list[str]]:
    """Return where the files of each scene lie, its mask last; nothing of a synthetic source."""
    source = settings.source
    if isinstance(source, GeoTiffSettings):
        return {
            scene.name: [p for p in (scene.path, *scene.files, scene.mask) if p is not None]
            for scene in source.scenes
            if scene.name in names
        }
    if isinstance(source, CubeSettings):
        return {name: [source.path] for name in names}
    return {}


def known_scenes(settings: Settings, names: Collection[str]) -> dict[str, list[list[Known]]]:
    """Return what the files of each scene are known by later, place by place; raises SourceError.

    ``settings`` have whole paths.
    """
    known = {}
    for name, places in scene_places(settings, names).items():
        try:
            known[name] = [known_files(place) for place in places]
        except OSError as error:
            reason = error.strerror or str(error)
            raise SourceError(f"scene {name!r} cannot be read: {reason}") from error
    return known


def _digest(values: list[Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
