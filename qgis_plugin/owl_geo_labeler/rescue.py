"""Answers into a new file, in case the batch itself cannot take them."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from itertools import count
from pathlib import Path

from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsVectorFileWriter, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication

from . import schema
from .batch import Batch, answer_of
from .batch_rows import OF_PLACE
from .errors import Problem
from .on_disk import exists
from .session import Answer, NewRow


def rescue_paths(batch: Batch) -> list[Path]:
    """Return new paths: beside the batch's file, in the home folder, and in the temporary one.

    A folder that cannot be reached is left out.
    """
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    stem = batch.path.stem if batch.path is not None else re.sub(r"[^\w-]", "_", batch.batch_id)
    folders = [Path.home(), Path(tempfile.gettempdir())]
    if batch.path is not None and os.access(batch.path.parent, os.W_OK):
        folders.insert(0, batch.path.parent)
    paths: list[Path] = []
    for folder in dict.fromkeys(folders):
        with suppress(OSError):
            paths.append(_new(folder, f"{stem}-answers-{now}"))
    return paths


def rescue_answers(
    batch: Batch, answers: Mapping[int, Answer], rows: Mapping[int, NewRow] | None = None
) -> Path:
    """Do as ``save_answers`` at the first of ``rescue_paths`` that can be written; return it.

    Raises Problem, with the reason of the first, if none can.
    """
    problems: list[Problem] = []
    for path in rescue_paths(batch):
        try:
            save_answers(path, batch, answers, rows)
        except Problem as problem:
            problems.append(problem)
            with suppress(OSError):  # what there is of it would be taken for answers
                path.unlink()
        else:
            return path
    message = QCoreApplication.translate("OwlGeo", "no folder can be reached to save answers in")
    raise problems[0] if problems else Problem(message)


def save_answers(
    path: Path,
    batch: Batch,
    answers: Mapping[int, Answer],
    rows: Mapping[int, NewRow] | None = None,
) -> None:
    """Write the batch as it was opened, with these answers by feature id, to a new GeoPackage.

    ``rows`` are those that the sitting added, by feature id as well. Answers of others that these
    have replaced are kept beside them, as in the batch itself.
    ``owl-geo ingest`` accepts it like the batch. Raises Problem if it cannot be written.
    """
    memory = QgsVectorLayer(f"Polygon?crs={batch.crs.authid()}", "answers", "memory")
    memory.setCrs(batch.crs)
    columns = next(iter(batch.features.values())).fields()
    fields = [field for field in columns if field.name() != "fid"]
    memory.dataProvider().addAttributes(fields)
    memory.updateFields()
    memory.dataProvider().addFeatures(
        [_answered(feature, memory, answers.get(fid)) for fid, feature in batch.features.items()]
    )
    memory.dataProvider().addFeatures(
        [_added(row, memory, answers[fid]) for fid, row in (rows or {}).items() if fid in answers]
    )
    memory.dataProvider().addFeatures(_kept(batch, memory, answers))
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = schema.BATCH_LAYER
    options.datasourceOptions = ["VERSION=1.3"]
    context = QgsProject.instance().transformContext()
    error, reason, *_ = QgsVectorFileWriter.writeAsVectorFormatV3(
        memory, str(path), context, options
    )
    if error == QgsVectorFileWriter.WriterError.NoError:
        # QGIS takes no notice of a last step that fails, as on a full disk
        kept = QgsVectorLayer(f"{path}|layername={schema.BATCH_LAYER}", "answers", "ogr")
        if kept.isValid() and _answers_in(kept) == _answers_in(memory):
            return
        reason = QCoreApplication.translate("OwlGeo", "not all of it is there; is the disk full?")
    message = QCoreApplication.translate("OwlGeo", "{path} cannot be written: {reason}")
    raise Problem(message.format(path=path, reason=" ".join(reason.split())))


def _answers_in(layer: QgsVectorLayer) -> list[tuple[str, ...]]:
    """Return patches and answers, to compare what was to be written with what was."""
    names = ("patch_id", *schema.EDITABLE_COLUMNS)
    rows = (tuple(str(row[name] or "") for name in names) for row in layer.getFeatures())
    return sorted(rows)


def _new(folder: Path, name: str) -> Path:
    """Return a path that no file has: an earlier rescue of the same second must stay.

    If the folder cannot be reached, it raises OSError.
    """
    names = (f"{name}-{n}" if n else name for n in count())
    return next(path for path in (folder / f"{one}.gpkg" for one in names) if not exists(path))


def _answered(row: QgsFeature, layer: QgsVectorLayer, answer: Answer | None) -> QgsFeature:
    feature = QgsFeature(layer.fields())
    feature.setGeometry(row.geometry())
    for field in layer.fields():
        feature.setAttribute(field.name(), row[field.name()])
    for name, value in (answer.values() if answer is not None else {}).items():
        feature.setAttribute(name, value)
    return feature


def _kept(batch: Batch, layer: QgsVectorLayer, answers: Mapping[int, Answer]) -> list[QgsFeature]:
    """Return the rows of other people's answers that are replaced in the rows of their patches."""
    rows = list(batch.kept)
    for fid, row in batch.features.items():
        before, now = answer_of(row), answers.get(fid, Answer())
        # a database has them anyway
        is_replaced = before.label and now.label and before.annotator != now.annotator
        if batch.path is not None and is_replaced:
            rows.append(row)
    features = []
    for row in rows:
        feature = QgsFeature(layer.fields())
        for name in (*OF_PLACE, *schema.EDITABLE_COLUMNS):
            feature.setAttribute(name, row[name])
        features.append(feature)
    return features


def _added(row: NewRow, layer: QgsVectorLayer, answer: Answer) -> QgsFeature:
    feature = QgsFeature(layer.fields())
    polygon = QgsGeometry()
    polygon.fromWkb(row.wkb)
    feature.setGeometry(polygon)
    for name, value in {**row.values, **answer.values()}.items():
        feature.setAttribute(name, value)
    return feature
