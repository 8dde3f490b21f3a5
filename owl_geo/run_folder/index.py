"""The patch index of a run, read back: patches, grids, band statistics, and the truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import geopandas as gpd
import pandas as pd
import pyarrow
from pyproj import CRS

from owl_geo.batches import PoolGrids
from owl_geo.disk.atomic import FileState, file_state, is_locked
from owl_geo.disk.presence import check_not_refused, exists
from owl_geo.errors import BusyError, RunError
from owl_geo.ground.footprints import common_crs, footprints
from owl_geo.ground.same_ground import SharedGround
from owl_geo.ground.windows import PoolWindows
from owl_geo.run_folder import patch_table
from owl_geo.run_folder.identity import (
    SceneFiles,
    changed_settings,
    decisive,
    fingerprint,
    fingerprint_anywhere,
)
from owl_geo.run_folder.paths import FEATURES, INDEX, LOCK, PATCHES, TRUTH
from owl_geo.run_folder.records import DAMAGE, IndexRecord
from owl_geo.settings import owl_toml
from owl_geo.settings.config import Settings
from owl_geo.sources.base import positions_of
from owl_geo.types import BandStatistics, IntArray, SceneGrid
from owl_geo.wording import as_typed, counted

_Value = TypeVar("_Value")

_NAMED = 4  # how many changed settings a message names


class PatchIndex:
    """Everything that was computed from the pool when the run was made; files are read on demand.

    ``indexed`` is the state of index.json before the settings were read. Raises RunError if a file
    is missing or damaged, BusyError where another process has replaced the files since.
    """

    def __init__(
        self, folder: Path, settings: Settings, settings_here: Settings, indexed: FileState
    ) -> None:
        self._folder = folder
        self._indexed = indexed
        self._content = ""  # digest of index.json as it was when a file was read
        self._settings = settings
        self._settings_here = settings_here

    @cached_property
    def patches(self) -> pd.DataFrame:
        """One row per patch with one column per concept, in the source's reading order.

        Raises RunError if owl.toml has since been edited so that the index would be different.
        """
        self.check_made_from_settings()
        return self._table(PATCHES, patch_table.read)

    def check_made_from_settings(self) -> None:
        """Raise RunError if owl.toml has since been edited so that the index would be different.

        BusyError where that may be what another process is making an index of.
        """
        toml = self._folder / owl_toml.FILE_NAME
        if self.record.made_from != fingerprint(self._settings):
            moved = self.record.made_from_elsewhere == fingerprint_anywhere(self._settings)
            if not moved or self.scenes.changed:
                what = self._changed_settings()
                self._check_not_at_work(f"{toml}: {what}")
                raise RunError(
                    f"{toml}: {what} changed since the patch index was made",
                    remedy=f"run `owl-geo init {as_typed(self._folder)} --update`",
                )
        # not among the settings above, by which older runs know that their index is up to date
        if self.record.positive not in (None, self._settings.positive):
            self._check_not_at_work(f"{toml}: positive")
            raise RunError(
                f"{toml}: positive changed since the patch index was made for "
                f"{self.record.positive}",
                remedy=f"restore it, or run `owl-geo init {as_typed(self._folder)} --update`",
            )

    def _check_not_at_work(self, what: str) -> None:
        """Raise BusyError if another process has replaced the index, or may be doing just that.

        ``what`` was changed, for which it would have to be replaced.
        """
        is_busy = is_locked(self._folder / LOCK)  # asked first, since that may end meanwhile
        self.check_not_replaced()
        if is_busy:
            raise BusyError(
                f"{what} changed since the patch index was made, and another owl-geo is working "
                f"on {self._folder}",
                remedy="wait until it is done, then try again",
            )

    def _changed_settings(self) -> str:
        """Return what was edited in owl.toml since, in words."""
        before = self.record.made_with
        if before is None:  # an older run
            return "seed, classes, source, views, layers, concepts, oracle or evaluation"
        # where files lie is not compared, so that a run may be moved
        names = changed_settings(before, decisive(self._settings)) or ["the files of source"]
        more = [counted(len(names) - _NAMED, "more setting")] if len(names) > _NAMED else []
        *others, last = [*names[:_NAMED], *more]
        return f"{', '.join(others)} and {last}" if others else last

    @cached_property
    def windows(self) -> PoolWindows:
        """The windows of the patches, one per row of ``patches``."""
        return PoolWindows.from_index(self.patches, self.grids, self._settings.patch_size)

    @cached_property
    def pool_grids(self) -> PoolGrids:
        """Where the patches are, for the plugin."""
        return PoolGrids(self.windows)

    @cached_property
    def shared(self) -> SharedGround | None:
        """Which of the patches show the same place; None where none do."""
        return None if self.record.places_once else SharedGround(self.windows)

    @cached_property
    def ids_before(self) -> pd.Index:
        """The ids of the stored index, whatever owl.toml says now; none if the file is lost."""
        return self._ids_on_disk()

    def _ids_on_disk(self) -> pd.Index:
        path = self._folder / PATCHES
        try:
            return pd.Index(pd.read_parquet(path, columns=["patch_id"])["patch_id"])
        except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
            check_not_refused(path, error)
            return pd.Index([], dtype=object)

    @cached_property
    def truth(self) -> pd.DataFrame | None:
        """patch_id, label (None if not known), held_out and tested, in the order of the index.

        None for a run without an oracle.
        """
        if self._settings.oracle is None:
            return None
        return self._table(TRUTH, pd.read_parquet)

    @property
    def concepts(self) -> pd.DataFrame:
        """The concept columns of ``patches``."""
        return self.patches[list(self._settings.concepts)]

    @cached_property
    def record(self) -> IndexRecord:
        """The content of index.json."""
        return self._read(INDEX, IndexRecord.read, DAMAGE)

    @cached_property
    def scenes(self) -> SceneFiles:
        """The scenes' files, and whether they changed."""
        return SceneFiles(self._settings, self._settings_here, self.record, self._folder / FEATURES)

    @property
    def grids(self) -> dict[str, SceneGrid]:
        """The pixel grid of each scene when it was indexed."""
        return self.record.grids

    @cached_property
    def crs(self) -> CRS:
        """The CRS of the footprints: the scenes' own if they share one, else EPSG:4326."""
        return common_crs(self.grids)

    @property
    def statistics(self) -> BandStatistics:
        """The band statistics with which models standardise their inputs."""
        return self.record.statistics

    @property
    def parts(self) -> tuple[int, ...]:
        """The number of patches when the pool was made, and after each addition of scenes.

        The patches of an addition come after all others in the index.
        """
        return self.record.parts or (len(self.patches),)

    @property
    def since(self) -> int:
        """The first round that could choose from today's whole pool; scenes may be added later."""
        return self.record.since

    @property
    def made_for(self) -> dict[str, Any] | None:
        """Bands, classes and patch size that the run was made for; None if that is lost.

        The positive class too, which older runs do not tell.
        """
        path = self._folder / INDEX
        try:
            made_for = json.loads(path.read_text(encoding="utf-8"))["made_for"]
            known = {name: made_for[name] for name in ("bands", "classes", "patch_size")}
            return known | {name: made_for[name] for name in made_for.keys() & {"positive"}}
        except DAMAGE as error:
            check_not_refused(path, error)
            return None

    def footprints(self, ids: Sequence[str]) -> gpd.GeoSeries:
        """Return the polygons of patches, by patch_id; raises SourceError for an unknown id."""
        return footprints(self.windows.take(self.positions(ids)))

    def positions(self, ids: Sequence[str]) -> IntArray:
        """Return the row of each id, ``(n,)``; raises SourceError for an unknown id."""
        return positions_of(self.patches, ids)

    def _table(self, name: str, read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame:
        return self._read(name, read, (OSError, ValueError, pyarrow.ArrowException))

    def _read(
        self, name: str, read: Callable[[Path], _Value], errors: tuple[type[Exception], ...]
    ) -> _Value:
        """Read a file of the pool whose files were read before.

        Raises RunError where it is missing or damaged, BusyError where it may be of another pool.
        """
        self.check_not_replaced()
        path = self._required(name)
        content = self._content or _digest(self._folder / INDEX)
        try:
            value = read(path)
        except errors as error:
            check_not_refused(path, error)
            raise RunError(
                f"{path} is damaged", remedy=f"run `owl-geo init {as_typed(self._folder)} --update`"
            ) from error
        self._content = content
        self.check_not_replaced()
        return value

    def check_not_replaced(self) -> None:
        """Raise BusyError where what is read next, or was read, is not of one and the same pool.

        Of the files that replace others, index.json is put in place first. One with the same
        content is of the same pool.
        """
        now = file_state(self._folder / INDEX)
        if now == self._indexed:
            return
        is_same = self._content in ("", _digest(self._folder / INDEX))
        if not is_same or owl_toml.load(self._folder / owl_toml.FILE_NAME) != self._settings:
            raise BusyError(
                f"{self._folder} was changed by another command since it was opened",
                remedy="give this one again; in Python, open the run again",
            )
        self._indexed = now

    def check_still_has(self, ids: Iterable[str]) -> None:
        """Raise BusyError if another process has replaced the pool by one that lacks a patch.

        One that has grown takes answers that were checked against it as it was.
        """
        try:
            self.check_not_replaced()
        except BusyError:
            if not pd.Index([*ids], dtype=object).isin(self._ids_on_disk()).all():
                raise

    def _required(self, name: str) -> Path:
        path = self._folder / name
        if not exists(path):
            raise RunError(
                f"{path} is missing", remedy=f"run `owl-geo init {as_typed(self._folder)} --update`"
            )
        return path


def _digest(file: Path) -> str:
    """Return what differs for another content of a file, or where there is none."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return "none"
