"""Open a batch that is a layer of a team's database, and find the newest one there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from qgis.core import QgsException, QgsProviderRegistry, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication

from . import schema
from .batch import Batch, in_project, opened
from .errors import NoBatch, Problem
from .layer_tree import opened_again
from .places import SharedPlace
from .reach import hearing, reason_in

translate = QCoreApplication.translate

_PROVIDER = "postgres"


@dataclass(frozen=True)
class Published:
    """A batch of the store."""

    place: SharedPlace
    run_id: str
    round: int
    info: dict[str, Any]

    @property
    def is_review(self) -> bool:
        """Whether it holds what the model takes for targets, to accept or reject."""
        return str(self.info["batch_id"]).endswith(schema.REVIEW)


def open_shared(place: SharedPlace, shown: QgsVectorLayer | None = None) -> Batch:
    """Open a published batch for labelling. Raises Problem, with one line, if that fails.

    If the project already has layers of this batch, ``shown`` is used where it is one of them, else
    the topmost.
    """
    batches = {one.place.layer: one for one in published(place)}
    if place.layer not in batches:
        message = translate("OwlGeo", "there is no batch {layer} in {place}; available: {names}")
        raise Problem(
            message.format(
                layer=place.layer, place=place.with_layer(""), names=", ".join(batches) or "none"
            )
        )
    user, uri = _session_user(place), place.layer_uri()
    layer = in_project(
        lambda one: one.providerType() == _PROVIDER and place.is_source(one.source(), user), shown
    )
    with hearing() as heard:
        if layer is None:
            layer = QgsVectorLayer(uri, place.layer, _PROVIDER)
        is_open = opened_again(layer)
    if not is_open:
        raise _unreadable(place, heard)
    return opened(place, layer, uri, batches[place.layer].info, user)


def published(place: SharedPlace, run_id: str | None = None) -> list[Published]:
    """Return the batches of a store, or of one of its runs, the newest first.

    Raises Problem if the database cannot be read.
    """
    uri = place.uri("batches", "", "batch_id").uri(False)
    with hearing() as heard:
        layer = QgsVectorLayer(uri, "batches", _PROVIDER)
    if not layer.isValid():
        raise _unreadable(place, heard)
    rows = [
        Published(
            place=place.with_layer(str(row["layer"])),
            run_id=str(row["run_id"]),
            round=int(row["round"]),
            info=_info(row["info"]),
        )
        for row in layer.getFeatures()
    ]
    found = [one for one in rows if run_id in (None, one.run_id)]
    return sorted(found, key=lambda one: (one.round, one.place.layer), reverse=True)


def newest_published(store: SharedPlace, run_id: str | None = None) -> SharedPlace:
    """Return the newest published batch with open patches, else the newest.

    Raises NoBatch if there is none, Problem if the database cannot be read.
    """
    places = [one.place for one in published(store, run_id)]
    if not places:
        message = translate("OwlGeo", "no batch has been published in {place} yet")
        raise NoBatch(message.format(place=store.with_layer("")))
    return next((place for place in places if count_open(place)), places[0])


def count_open(place: SharedPlace) -> int:
    """Return how many patches of a published batch have no answer that this user may see."""
    return _count(place, '"label" IS NULL')


def is_unanswered(place: SharedPlace) -> bool:
    """Whether a published batch can be read, and has no answer that this user may see."""
    return count_open(place) > 0 and _count(place, '"label" IS NOT NULL') == 0


def _count(place: SharedPlace, condition: str) -> int:
    uri = place.uri(place.layer, "geom", "fid")
    uri.setSql(condition)
    layer = QgsVectorLayer(uri.uri(False), "open", _PROVIDER)
    return sum(1 for _ in layer.getFeatures()) if layer.isValid() else 0


def _session_user(place: SharedPlace) -> str:
    """Return the role in whose name answers are stored. Raises Problem if the database is gone."""
    metadata = QgsProviderRegistry.instance().providerMetadata(_PROVIDER)
    uri = place.uri("batches", "", "batch_id").uri(False)
    with hearing() as heard:
        try:
            return str(metadata.createConnection(uri, {}).executeSql("SELECT session_user")[0][0])
        except (QgsException, IndexError) as error:  # whose text is the source
            raise _unreadable(place, heard) from error


def _info(value: object) -> dict[str, Any]:
    """QGIS gives jsonb as a map, and in some versions as text."""
    return dict(value) if isinstance(value, dict) else dict(json.loads(str(value)))


def _unreadable(place: SharedPlace, heard: list[str]) -> Problem:
    message = translate(
        "OwlGeo",
        "{place} cannot be read; check that the address is right, the server is running and you "
        "may label there. {reason}",
    )
    return Problem(message.format(place=place, reason=reason_in(heard)).strip())
