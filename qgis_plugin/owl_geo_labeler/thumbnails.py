"""Small pictures of patches with their surroundings, drawn beside the keys, those in view first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QObject, QPointF, QSize, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QImage, QPolygonF

from .batch import Batch
from .imagery import Imagery
from .session import Patch

_KEPT = 500  # pictures
_AT_ONCE = 2  # which leaves a core for the map

# Jobs that nobody waits for any more; QGIS draws on until it notices, and needs them until then.
_ending: set[QgsMapRendererParallelJob] = set()


@dataclass(frozen=True)
class Picture:
    """A picture of a patch; its outline is in shares of the edge, from the upper left corner.

    Without an image, the scene cannot be shown.
    """

    image: QImage | None
    outline: QPolygonF


class Thumbnails(QObject):
    """Draws the patches of a batch as the map would show them, in the CRS of their scene."""

    drawn = pyqtSignal(int)  # feature id

    def __init__(
        self, batch: Batch, imagery: Imagery, times: float, parent: QObject | None = None
    ) -> None:
        """``times`` is how many times wider than the patch a picture is."""
        super().__init__(parent)
        self._batch, self._imagery, self._times = batch, imagery, times
        self._patches = {patch.fid: patch for patch in batch.patches}
        self._edge = 128
        self._pictures: OrderedDict[int, Picture] = OrderedDict()
        self._wanted: list[int] = []
        self._jobs: dict[int, QgsMapRendererParallelJob] = {}
        # beginning one takes a few milliseconds, so that keys come in between
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._begin_next)

    @property
    def is_working(self) -> bool:
        """Whether something is still to be drawn."""
        return bool(self._wanted or self._jobs)

    def picture(self, fid: int) -> Picture | None:
        """Return the picture of a patch; None while it is not drawn."""
        return self._pictures.get(fid)

    def want(self, fids: Sequence[int], edge: int) -> None:
        """Draw these patches, in this order, and nothing else; ``edge`` is in pixels."""
        if edge != self._edge:
            self._edge = edge
            self._forget()
        for fid in reversed(fids):
            if fid in self._pictures:
                self._pictures.move_to_end(fid)
        self._wanted = [f for f in fids if f not in self._pictures and f not in self._jobs]
        self._soon.start(0)

    def draw_anew(self, times: float) -> None:
        """Forget every picture, since the scenes look different now."""
        self._times = times
        self._forget()

    def close(self) -> None:
        """Stop."""
        self._soon.stop()
        self._forget()

    def _forget(self) -> None:
        self._wanted.clear()
        self._pictures.clear()
        for job in self._jobs.values():
            _ending.add(job)
            job.cancelWithoutBlocking()
        self._jobs.clear()

    def _begin_next(self) -> None:
        if not self._wanted or len(self._jobs) >= _AT_ONCE:
            return
        patch = self._patches[self._wanted.pop(0)]
        job = self._job(patch)
        if job is None:
            self._keep(patch.fid, Picture(None, QPolygonF()))
        else:
            self._jobs[patch.fid] = job
        self._soon.start(0)

    def _job(self, patch: Patch) -> QgsMapRendererParallelJob | None:
        """Begin to draw a patch; None if its scene cannot be shown."""
        layer = self._imagery.layer_of(patch)
        polygon = QgsGeometry(self._batch.features[patch.fid].geometry())
        try:
            if layer is None:
                return None
            polygon.transform(
                QgsCoordinateTransform(
                    self._batch.layer.crs(), layer.crs(), QgsProject.instance().transformContext()
                )
            )
        except QgsCsException:
            return None
        box = polygon.boundingBox()
        edge = max(box.width(), box.height()) * self._times
        box = QgsRectangle.fromCenterAndSize(box.center(), edge, edge)
        settings = QgsMapSettings()
        settings.setLayers([layer])
        settings.setDestinationCrs(layer.crs())
        settings.setTransformContext(QgsProject.instance().transformContext())
        settings.setOutputSize(QSize(self._edge, self._edge))
        settings.setExtent(box)
        job = QgsMapRendererParallelJob(settings)
        outline = _outline(polygon, box)
        job.finished.connect(lambda: self._on_finished(patch.fid, job, outline))
        job.start()
        return job

    def _on_finished(self, fid: int, job: QgsMapRendererParallelJob, outline: QPolygonF) -> None:
        _ending.discard(job)
        if self._jobs.get(fid) is job:
            del self._jobs[fid]
            self._keep(fid, Picture(job.renderedImage(), outline))
            self._soon.start(0)
        job.deleteLater()

    def _keep(self, fid: int, picture: Picture) -> None:
        self._pictures[fid] = picture
        while len(self._pictures) > _KEPT:
            self._pictures.popitem(last=False)
        self.drawn.emit(fid)


def _outline(polygon: QgsGeometry, box: QgsRectangle) -> QPolygonF:
    return QPolygonF(
        [
            QPointF(
                (vertex.x() - box.xMinimum()) / box.width(),
                (box.yMaximum() - vertex.y()) / box.height(),
            )
            for vertex in polygon.vertices()
        ]
    )
