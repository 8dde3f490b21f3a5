"""An open batch: its layer for the map, its patches for the session, and the file it came from."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from osgeo import gdal
from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsProject,
    QgsVectorDataProvider,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from . import schema
from .errors import Problem, reading
from .layer_tree import opened_again
from .on_disk import entries, exists
from .places import SharedPlace
from .quiet import quiet
from .session import Answer, Patch

translate = QCoreApplication.translate

_NEEDED = ("patch_id", "rank", *schema.EDITABLE_COLUMNS, "scene", "scene_crs", "batch_id")
_NUMBERS = schema.BATCH_COLUMNS_BEFORE[1:]
_FILTER = "|subset="  # where the filter begins in a source
_NAME = "layername="
_OPEN = """("label" IS NULL OR "label" = '') AND "rank" IS NOT NULL"""  # some programs write ''
_ANSWERED = """"label" <> ''"""  # also beside the batch
_SQLITE = b"SQLite format 3\x00"
_ID = re.compile(r"-\d{3,}(-review)?$")  # the end of a batch's id
# how QGIS, and this plugin, call a layer that was just opened, by its file or table
_NAMES_OF_QGIS = ("{}", "{} — batch", "{} - batch", "{} batch", "batch")


@dataclass(frozen=True)
class Batch:
    """An open batch, as it was when opened.

    ``features`` holds the rows of its ``patches`` by feature id, and ``kept`` those that keep an
    answer beside the one of another row.
    """

    place: Path | SharedPlace
    layer: QgsVectorLayer
    crs: QgsCoordinateReferenceSystem  # of the layer, which may go before the answers are saved
    batch_id: str
    round: int
    classes: tuple[str, ...]
    positive: str
    annotator: str | None  # whose part of a team's batch it is
    patch_size: int | None  # height and width of a patch in pixels; older batches do not say
    patches: list[Patch]
    features: dict[int, QgsFeature]
    kept: list[QgsFeature]
    lacks_wal: bool  # answers may be in a file that was left behind

    @property
    def path(self) -> Path | None:
        """The file; None for a layer of a team's database."""
        return self.place if isinstance(self.place, Path) else None

    @property
    def is_review(self) -> bool:
        """Whether it holds what the model takes for targets, to accept or reject."""
        return self.batch_id.endswith(schema.REVIEW)


def open_batch(path: Path, shown: QgsVectorLayer | None = None) -> Batch:
    """Open a batch for labelling. Raises Problem, with one line, if that fails.

    If the project already has layers of this batch, ``shown`` is used where it is one of them, else
    the topmost.
    """
    path = path.absolute()
    _check_file(path)
    layer = shown_layer(path, shown)
    # while a layer is edited, QGIS itself keeps what is saved in a second file
    lacks_wal = _lacks_wal(path) and not (layer is not None and layer.isEditable())
    if layer is None:
        layer = QgsVectorLayer(source_of(path), path.stem, "ogr")
    elif layer.isValid():
        # the layer may still read a file that another one has replaced since
        layer.dataProvider().reloadData()
    if not opened_again(layer):
        raise Problem(
            translate("OwlGeo", "{path} has no layer named batch that QGIS can read").format(
                path=path
            )
        )
    _check_layer(path, layer)
    info = _info(path)
    annotator = info.get(schema.BATCH_INFO_ANNOTATOR)
    return opened(path, layer, source_of(path), info, annotator, lacks_wal)


def opened(
    place: Path | SharedPlace,
    layer: QgsVectorLayer,
    source: str,
    info: dict[str, Any],
    annotator: str | None,
    lacks_wal: bool = False,
) -> Batch:
    """Read the patches of a batch; ``info`` is what the core says about it.

    ``layer`` shows them on the map, all of them or those that a filter lets through; ``source`` is
    how QGIS names all. Raises Problem if there are no patches, or a column is missing.
    """
    whole = QgsVectorLayer(source, "whole", layer.providerType()) if layer.subsetString() else layer
    # of the file, without joins, virtual fields and edits that nobody has saved
    rows = whole.dataProvider()
    for name in _NEEDED:
        if rows.fields().indexOf(name) < 0:
            message = translate(
                "OwlGeo",
                "{path} has no column {name}: it is not a batch of owl-geo, or it was "
                "changed later",
            )
            raise Problem(message.format(path=place, name=name))
    features = {feature.id(): feature for feature in rows.getFeatures()}
    if not features:
        raise Problem(translate("OwlGeo", "{path} has no patches").format(path=place))
    patches = [patch_of(feature) for feature in features.values()]
    if all(patch.beside for patch in patches):  # another program may have lost the ranks
        for patch in patches:
            patch.beside = False
    # a place that was noticed and then left without an answer is nothing, and an answer that is
    # kept beside another has no place of its own
    patches = [patch for patch in patches if not patch.beside or patch.answer.label is not None]
    has_place = {fid: not row.geometry().isEmpty() for fid, row in features.items()}
    kept = [features[one.fid] for one in patches if one.beside and not has_place[one.fid]]
    patches = [patch for patch in patches if not patch.beside or has_place[patch.fid]]
    features = {patch.fid: features[patch.fid] for patch in patches}
    _call(layer, place.stem if isinstance(place, Path) else place.layer, info["batch_id"])
    return Batch(
        place=place,
        layer=layer,
        crs=layer.crs(),
        batch_id=info["batch_id"],
        round=info["round"],
        classes=tuple(info["classes"]),
        positive=info["positive"],
        annotator=annotator,
        patch_size=_size(info),
        patches=patches,
        features=features,
        kept=kept,
        lacks_wal=lacks_wal,
    )


def _call(layer: QgsVectorLayer, file_name: str, batch_id: str) -> None:
    """Name a layer after its batch, unless it has a name that the user chose."""
    title = translate("OwlGeo", "batch {name}")
    is_ours = layer.name().startswith(title.split("{", maxsplit=1)[0]) and _ID.search(layer.name())
    if is_ours or layer.name() in (name.format(file_name) for name in _NAMES_OF_QGIS):
        layer.setName(title.format(name=batch_id))


def _size(info: dict[str, Any]) -> int | None:
    size = info.get(schema.BATCH_INFO_PATCH_SIZE)
    return size if isinstance(size, int) and size > 0 else None


def source_of(path: Path) -> str:
    """Return how QGIS names the layer of a batch file."""
    return f"{path}|layername={schema.BATCH_LAYER}"


def shown_layer(path: Path, shown: QgsVectorLayer | None = None) -> QgsVectorLayer | None:
    """Return the layer of the project that shows a batch file already; see ``in_project``."""
    return in_project(lambda one: _is_of(one, path), shown)


def _is_of(layer: QgsVectorLayer, path: Path) -> bool:
    """Whether a layer shows a batch file, filtered or not, and however its source spells that.

    Projects have / in the paths of Windows, and QGIS leaves the name out where there is one layer.
    """
    file, *options = layer.source().partition(_FILTER)[0].split("|")
    if Path(os.path.normpath(file)) != Path(os.path.normpath(path)):
        return False
    names = [option for option in options if option.startswith(_NAME)]
    if names:
        return names == [_NAME + schema.BATCH_LAYER]
    return bool(layer.isValid() and layer.isSpatial())


def in_project(
    is_it: Callable[[QgsVectorLayer], bool], shown: QgsVectorLayer | None = None
) -> QgsVectorLayer | None:
    """Return the layer of the project that shows a batch already, filtered or not, or None.

    Of several, as where the user has made a copy, it is ``shown``, or else the topmost.
    """
    project = QgsProject.instance()
    layers = [*project.layerTreeRoot().layerOrder(), *project.mapLayers().values()]
    found = [one for one in layers if isinstance(one, QgsVectorLayer) and is_it(one)]
    return shown if shown in found else next(iter(found), None)


def edited_layer(batch: Batch) -> QgsVectorLayer | None:
    """Return a layer of the project that has edits of a batch that are not saved, or None.

    The user may have several of it.
    """
    place, own = batch.place, batch.layer
    if own.isModified():
        return own
    if isinstance(place, Path):
        return in_project(lambda one: one.isModified() and _is_of(one, place))
    user = batch.annotator or ""
    return in_project(lambda one: one.isModified() and place.is_source(one.source(), user))


def titles_of(layer: QgsVectorLayer) -> dict[str, str]:
    """Return what a batch's style calls the columns, where it has a name for them."""
    titles = {field.name(): field.alias() for field in layer.fields()}
    return {name: title for name, title in titles.items() if title}


def file_of(batch: Batch, run: Path | None) -> Path | None:
    """Return the file that says what to show; a team has it in the run folder.

    Raises Problem if that cannot be read.
    """
    if batch.path is not None or run is None:
        return batch.path
    with reading(run):
        files = entries(run / "rounds" / f"{batch.round:03d}")
    return next((path for path in files if path.match("batch*.gpkg")), None)


def count_unanswered(path: Path) -> int:
    """Return how many patches of a batch have no answer; 0 if the file is not a batch."""
    return _count(path, _OPEN)


def is_untouched(path: Path) -> bool:
    """Whether a batch has no answer yet; False if the file is not a batch."""
    return count_unanswered(path) > 0 and _count(path, _ANSWERED) == 0


def _count(path: Path, condition: str) -> int:
    """Return how many rows of a batch meet a condition; 0 if the file is not a batch."""
    layer = QgsVectorLayer(f"{source_of(path)}{_FILTER}{condition}", "rows", "ogr")
    return layer.featureCount() if layer.isValid() else 0


def is_review(path: Path) -> bool:
    """Whether a file is a batch of what the model takes for targets."""
    try:
        _check_file(path)
        return str(_info(path)["batch_id"]).endswith(schema.REVIEW)
    except Problem:
        return False


def annotator_of(path: Path) -> str | None:
    """Return whose part of a team's batch a file is; None if it is for everyone, or not a batch."""
    try:
        _check_file(path)
        return _info(path).get(schema.BATCH_INFO_ANNOTATOR)
    except Problem:
        return None


def is_batch(path: Path) -> bool:
    """Whether the file is a batch of owl-geo, from its metadata."""
    try:
        _check_file(path)
        return bool(_info(path))
    except Problem:
        return False


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(len(_SQLITE))
    except FileNotFoundError as error:
        raise Problem(translate("OwlGeo", "{path} does not exist").format(path=path)) from error
    except OSError as error:
        message = translate("OwlGeo", "{path} cannot be read: {reason}")
        raise Problem(message.format(path=path, reason=error.strerror)) from error
    if start != _SQLITE:
        raise Problem(translate("OwlGeo", "{path} is not a GeoPackage").format(path=path))


def _lacks_wal(path: Path) -> bool:
    """Whether changes were kept in a -wal file, as QGIS does while editing, that is missing.

    An empty one does not count: SQLite makes it when such a GeoPackage is opened.
    """
    try:
        with path.open("rb") as file:
            head = file.read(20)
        wal = path.with_name(path.name + "-wal")
        return head[18:20] == b"\x02\x02" and not (exists(wal) and wal.stat().st_size)
    except OSError:  # it has gone since, which whoever opens it says
        return False


def _check_layer(path: Path, layer: QgsVectorLayer) -> None:
    may_change = QgsVectorDataProvider.Capability.ChangeAttributeValues
    # SQLite writes a journal beside the file, so the folder must be writable too
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    if not writable or not layer.dataProvider().capabilities() & may_change:
        message = translate(
            "OwlGeo",
            "{path} is read-only, so answers could not be saved; make the file and its folder "
            "writable, or copy the batch elsewhere",
        )
        raise Problem(message.format(path=path))


def metadata_in(path: Path, uri: str) -> list[str]:
    """Return the metadata of this kind in a batch file; none if it cannot be read."""
    query = schema.BATCH_INFO_QUERY.replace("?", f"'{uri}'")
    with quiet():
        file = gdal.OpenEx(str(path), gdal.OF_VECTOR, allowed_drivers=["GPKG"])
        found = file.ExecuteSQL(query) if file is not None else None
        if found is None:
            return []
        texts = [str(row.GetField("metadata")) for row in found]
        file.ReleaseResultSet(found)
        return texts


def _info(path: Path) -> dict[str, Any]:
    """Return what the core wrote into the metadata. Raises Problem if it is missing or newer."""
    texts = metadata_in(path, schema.BATCH_INFO_URI)
    try:
        info = json.loads(texts[0])
        if info["layout"] > schema.LAYOUT_VERSION:
            message = translate("OwlGeo", "{path} was made by a newer owl-geo; upgrade the plugin")
            raise Problem(message.format(path=path))
        classes, annotator = info["classes"], info.get(schema.BATCH_INFO_ANNOTATOR, "")
        names = [info["batch_id"], info["positive"], annotator, *classes]
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in names):
            raise TypeError("a name is not text")
        if len(set(classes)) < len(classes) or info["positive"] not in classes:
            raise ValueError("a class twice, or the positive one missing")
        int(info["round"])
        return dict(info)
    except (IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        message = translate(
            "OwlGeo",
            "{path} does not list its classes: it is not a batch of owl-geo, or "
            "another program saved it again",
        )
        raise Problem(message.format(path=path)) from error


def patch_of(feature: QgsFeature) -> Patch:
    """Return the patch in a row of a batch."""
    values = {field.name(): _plain(feature[field.name()]) for field in feature.fields()}
    fixed = {"fid", "patch_id", schema.LEASE_COLUMN, *schema.BATCH_COLUMNS_AFTER}
    return Patch(
        fid=feature.id(),
        patch_id=str(values["patch_id"]),
        rank=int(_number(values["rank"]) or 0),
        scene=str(values["scene"] or ""),
        scene_crs=str(values["scene_crs"] or ""),
        why={
            name: _number(value) if name in _NUMBERS else value
            for name, value in values.items()
            if name not in fixed
        },
        answer=answer_of(feature),
        beside=values["rank"] is None,
    )


def answer_of(feature: QgsFeature) -> Answer:
    """Return the answer in a row of a batch."""
    return Answer(**{name: _text(_plain(feature[name])) for name in schema.EDITABLE_COLUMNS})


def _plain(value: object) -> object:
    """Turn QGIS's NULL, whose form differs between versions, into None."""
    return None if value is None or value == NULL else value


def _number(value: object) -> float | None:
    """Return a finite number; None for anything else that another program may have written."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and math.isfinite(value) else None


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None
