"""Answers into a new file, in case the batch itself cannot take them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsVectorFileWriter, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication

from . import schema
from .batch import Batch
from .errors import Problem
from .session import Answer, NewRow


def rescue_path(batch: Batch) -> Path:
    """Return a new path beside the batch's file.

    If there is no file, or its folder is not writable, the path is in the home folder.
    """
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    path = batch.path or Path.home() / (re.sub(r"[^\w-]", "_", batch.batch_id) + ".gpkg")
    folder = path.parent if os.access(path.parent, os.W_OK) else Path.home()
    return folder / f"{path.stem}-answers-{now}.gpkg"


def save_answers(
    path: Path,
    batch: Batch,
    answers: Mapping[int, Answer],
    rows: Mapping[int, NewRow] | None = None,
) -> None:
    """Write the batch as it was opened, with these answers by feature id, to a new GeoPackage.

    ``rows`` are those that the sitting added, by feature id as well.
    ``owl-geo ingest`` accepts it like the batch. Raises Problem if it cannot be written.
    """
    memory = QgsVectorLayer(f"Polygon?crs={batch.layer.crs().authid()}", "answers", "memory")
    memory.setCrs(batch.layer.crs())
    fields = [field for field in batch.layer.fields() if field.name() != "fid"]
    memory.dataProvider().addAttributes(fields)
    memory.updateFields()
    memory.dataProvider().addFeatures(
        [_answered(feature, memory, answers.get(fid)) for fid, feature in batch.features.items()]
    )
    memory.dataProvider().addFeatures(
        [_added(row, memory, answers[fid]) for fid, row in (rows or {}).items() if fid in answers]
    )
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = schema.BATCH_LAYER
    options.datasourceOptions = ["VERSION=1.3"]
    context = QgsProject.instance().transformContext()
    error, reason, *_ = QgsVectorFileWriter.writeAsVectorFormatV3(
        memory, str(path), context, options
    )
    if error != QgsVectorFileWriter.WriterError.NoError:
        message = QCoreApplication.translate("OwlGeo", "{path} cannot be written: {reason}")
        raise Problem(message.format(path=path, reason=" ".join(reason.split())))


def _answered(row: QgsFeature, layer: QgsVectorLayer, answer: Answer | None) -> QgsFeature:
    feature = QgsFeature(layer.fields())
    feature.setGeometry(row.geometry())
    for field in layer.fields():
        feature.setAttribute(field.name(), row[field.name()])
    for name, value in (answer.values() if answer is not None else {}).items():
        feature.setAttribute(name, value)
    return feature


def _added(row: NewRow, layer: QgsVectorLayer, answer: Answer) -> QgsFeature:
    feature = QgsFeature(layer.fields())
    polygon = QgsGeometry()
    polygon.fromWkb(row.wkb)
    feature.setGeometry(polygon)
    for name, value in {**row.values, **answer.values()}.items():
        feature.setAttribute(name, value)
    return feature
