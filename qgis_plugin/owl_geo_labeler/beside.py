"""Places beside the batch that an analyst points at: any patch of the run, and older answers."""

from __future__ import annotations

from dataclasses import replace

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
)
from qgis.PyQt.QtCore import QCoreApplication

from .batch import Batch, annotator_of, open_batch
from .errors import Problem
from .pool_grid import Nothing, PlaceInGrid, PoolGrid, pool_grid
from .run_folder import RunFolder
from .session import NewRow, Patch

translate = QCoreApplication.translate


class Beside:
    """Finds what is at a point of the map where the batch has no patch.

    Feature ids that it gives are negative, so that they are not those of rows in a file.
    """

    def __init__(self, batch: Batch, run: RunFolder | None, annotator: str) -> None:
        self._batch = batch
        self._run = run
        self._annotator = annotator
        self._grid: PoolGrid | None = None
        self._no_grid = ""  # why there is none
        self._read_grid()  # now, since the file may be locked when somebody clicks
        self._older: list[Batch] | None = None
        self._last_fid = -1

    def at(self, point: QgsPointXY, crs: QgsCoordinateReferenceSystem) -> tuple[Patch, QgsGeometry]:
        """Return a patch, with its polygon in the batch's CRS.

        It has the answer that it has in an older batch, or is one that nobody has answered there.
        Raises Problem, with one line, if there is none.
        """
        older = self._answered_before(point, crs)
        return older if older is not None else self._noticed(point, crs)

    def close(self) -> None:
        """Let go of the older batches: their files are open for as long as their layers exist."""
        self._older = None

    def batch_of(self, patch: Patch) -> Batch:
        """Return the older batch that a patch is in."""
        return next(batch for batch in self._older or [] if batch.path == patch.older)

    def new(self, patch_id: str, scene: str, scene_crs: str, row: NewRow | None) -> Patch:
        """Return a patch beside the batch that has no answer."""
        self._last_fid -= 1
        return Patch(
            fid=self._last_fid,
            patch_id=patch_id,
            rank=0,
            scene=scene,
            scene_crs=scene_crs,
            why={},
            beside=True,
            row=row,
        )

    # --- answers of older batches -----------------------------------------------------------------

    def _answered_before(
        self, point: QgsPointXY, crs: QgsCoordinateReferenceSystem
    ) -> tuple[Patch, QgsGeometry] | None:
        for batch in self._older_batches():
            hit = _hit(batch, point, crs)
            if hit is None:
                continue
            self._last_fid -= 1
            patch = replace(
                hit,
                fid=self._last_fid,
                rank=0,
                beside=True,
                older=batch.path,
                older_fid=hit.fid,
                older_name=batch.batch_id,
            )
            polygon = QgsGeometry(batch.features[hit.fid].geometry())
            _move(polygon, batch.layer.crs(), self._batch.layer.crs())
            return patch, polygon
        return None

    def _older_batches(self) -> list[Batch]:
        """Return the run's other batches, the newest first; those of other annotators do not count.

        They are read at the first click beside the batch.
        """
        if self._older is None:
            older: list[Batch] = []
            here = self._batch.path
            paths = self._run.batches() if self._run is not None and here is not None else []
            for path in paths:
                if path == here or annotator_of(path) not in (None, self._annotator):
                    continue
                try:
                    older.append(open_batch(path))
                except Problem:  # damaged or read-only: its answers stay as they are
                    continue
            self._older = older
        return self._older

    # --- the grid ---------------------------------------------------------------------------------

    def _noticed(
        self, point: QgsPointXY, crs: QgsCoordinateReferenceSystem
    ) -> tuple[Patch, QgsGeometry]:
        place = self._place(point, crs)
        try:
            polygon = place.polygon(self._batch.layer.crs())
        except QgsCsException as error:
            raise Problem(_why_not(Nothing.OUTSIDE)) from error
        values = {
            "patch_id": place.patch_id,
            "scene": place.scene,
            "scene_crs": place.crs,
            "batch_id": self._batch.batch_id,
            "round": self._batch.round,
        }
        row = NewRow(values, bytes(polygon.asWkb()))
        return self.new(place.patch_id, place.scene, place.crs, row), polygon

    def _read_grid(self) -> None:
        if self._batch.path is None:
            self._no_grid = translate(
                "OwlGeo", "in a shared batch, only its own patches can be answered"
            )
            return
        try:
            self._grid = pool_grid(self._batch.path)
            self._no_grid = translate(
                "OwlGeo", "this batch does not say what other patches there are; the next one will"
            )
        except Problem as problem:
            self._no_grid = str(problem)

    def _place(self, point: QgsPointXY, crs: QgsCoordinateReferenceSystem) -> PlaceInGrid:
        if self._grid is None:
            raise Problem(self._no_grid)
        found = self._grid.find(point, crs)
        if isinstance(found, Nothing):
            raise Problem(_why_not(found))
        return found


def _why_not(reason: Nothing) -> str:
    return {
        Nothing.OUTSIDE: translate("OwlGeo", "no scene of the run is there"),
        Nothing.EDGE: translate("OwlGeo", "no whole patch of the run is there"),
        Nothing.NOT_IN_POOL: translate(
            "OwlGeo",
            "that place cannot be answered: it has too few pixels, is outside the area of the "
            "run, is shown by another scene, or tests the model",
        ),
    }[reason]


def _hit(batch: Batch, point: QgsPointXY, crs: QgsCoordinateReferenceSystem) -> Patch | None:
    """Return the answered patch of a batch at a point; of several, the nearest."""
    here = QgsGeometry.fromPointXY(point)
    try:
        _move(here, crs, batch.layer.crs())
    except QgsCsException:
        return None
    place = here.asPoint()
    hits = []
    for patch in batch.patches:
        polygon = batch.features[patch.fid].geometry()
        box = polygon.boundingBox()
        if patch.answer.label is not None and box.contains(place) and polygon.contains(here):
            hits.append((box.center().sqrDist(place), patch.fid, patch))
    return min(hits)[2] if hits else None


def _move(
    geometry: QgsGeometry,
    source: QgsCoordinateReferenceSystem,
    target: QgsCoordinateReferenceSystem,
) -> None:
    geometry.transform(QgsCoordinateTransform(source, target, QgsProject.instance()))
