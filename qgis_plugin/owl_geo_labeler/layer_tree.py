"""Where layers of a run go in the layer tree; existing layers stay where they are."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from qgis.core import (
    QgsLayerTree,
    QgsLayerTreeGroup,
    QgsLayerTreeLayer,
    QgsLayerTreeNode,
    QgsMapLayer,
    QgsProject,
)
from qgis.PyQt.QtCore import QCoreApplication

from .on_disk import exists

# Drawing order, from the top; the batches of a run are ordered by round.
BATCH, FRAMES, MAP, VIEWS, SCENE = range(5)

_RUN = "owl_geo_run"  # marks a group, whatever the user has renamed it to
_LEVEL = "owl_geo_level"  # marks layers, and the group of the views
_ROUND = "owl_geo_round"
_PUT_AWAY = "owl_geo_put_away"  # marks batches that were hidden for being old
_BEFORE = "owl_geo_before"  # whether a layer is visible that is shown or hidden for a while: 1 or 0

# QGIS keeps an image as large as the map of each visible layer, and draws all of them anew whenever
# the map moves.
_SHOWN_BATCHES = 10


def add_batch(layer: QgsMapLayer, number: int, run: Path | None) -> None:
    """Add the batch of a round to the project: in the group of its run, above older ones.

    Without a run folder, it goes on top of everything. A batch already in the project stays put.
    """
    layer.setCustomProperty(_LEVEL, BATCH)
    layer.setCustomProperty(_ROUND, number)
    project = QgsProject.instance()
    if project.mapLayer(layer.id()) is not None:
        return
    project.addMapLayer(layer, False)
    parent = _root() if run is None else _group_of(run)
    newer = [
        place
        for place, node in enumerate(parent.children())
        if run is not None and _number(node, _ROUND) > number
    ]
    _insert(layer, parent, newer[-1] + 1 if newer else 0)


def put_away_old(opened: QgsMapLayer, run: Path | None) -> bool:
    """Show the batch that was opened, and hide those of its run that are old by now.

    Each is hidden once: whoever shows it again has it until it is opened. Returns whether any was.
    """
    if opened.customProperty(_PUT_AWAY):
        opened.removeCustomProperty(_PUT_AWAY)
        set_visible([opened.id()], True)
    if run is None:
        return False
    nodes = [node for node in _group_of(run).findLayers() if _number(node, _LEVEL) == BATCH]
    nodes.sort(key=lambda node: -_number(node, _ROUND))
    old = [node.layer() for node in nodes[_SHOWN_BATCHES:] if node.layer() is not opened]
    old = [layer for layer in old if not layer.customProperty(_PUT_AWAY)]
    for layer in old:
        layer.setCustomProperty(_PUT_AWAY, True)
    return bool(set_visible([layer.id() for layer in old], False))


def add_below(layer: QgsMapLayer, level: int, batch: QgsMapLayer | None, run: Path | None) -> None:
    """Add a layer to the project, beside a batch or in a run's group, at its level."""
    parent = _parent(batch, run)
    layer.setCustomProperty(_LEVEL, level)
    QgsProject.instance().addMapLayer(layer, False)
    _insert(layer, parent, _place(parent, level))


def add_view(layer: QgsMapLayer, batch: QgsMapLayer | None, run: Path | None) -> None:
    """Add a hidden layer to the group of the views, which is made beside a batch and below maps."""
    layer.setCustomProperty(_LEVEL, VIEWS)
    QgsProject.instance().addMapLayer(layer, False)
    parent = _parent(batch, run)
    groups = (child for child in parent.children() if isinstance(child, QgsLayerTreeGroup))
    group = next((one for one in groups if _number(one, _LEVEL) == VIEWS), None)
    if group is None:
        name = QCoreApplication.translate("OwlGeo", "Views")
        group = parent.insertGroup(_place(parent, VIEWS), name)
        group.setCustomProperty(_LEVEL, VIEWS)
    _insert(layer, group, len(group.children()), is_visible=False)


def opened_again(layer: QgsMapLayer) -> bool:
    """Whether a layer of the project can be drawn; it is opened again if it could not be before.

    Such as one whose file was missing, or on a share that was disconnected, when the project was
    opened.
    """
    if not layer.isValid():
        layer.setDataSource(layer.source(), layer.name(), layer.providerType(), False)
    return bool(layer.isValid())


def over_imagery() -> list[str]:
    """Return the ids of the layers that were put over the imagery: frames and maps of runs."""
    return [node.layerId() for node in _root().findLayers() if 0 <= _number(node, _LEVEL) <= MAP]


def frames_among(layers: Iterable[QgsMapLayer]) -> list[QgsMapLayer]:
    """Return those of some layers that are frames of patches."""
    return [layer for layer in layers if 0 <= _level(layer) <= FRAMES]


def scenes_beside(batch: QgsMapLayer) -> list[QgsMapLayer]:
    """Return the layers of scenes, visible or not, in the group that a batch is in."""
    nodes = _parent(batch, None).findLayers()
    return [node.layer() for node in nodes if _number(node, _LEVEL) == SCENE]


def others() -> list[QgsMapLayer]:
    """Return the layers of the project, from the top, that were not added for a run."""
    layers = [node.layer() for node in _root().findLayers()]
    return [layer for layer in layers if layer is not None and _level(layer) < 0]


def set_visible(ids: Iterable[str], is_visible: bool) -> list[str]:
    """Show or hide layers, where the layer tree has them; return the ids of those that changed."""
    changed = []
    for layer_id in ids:
        node = _root().findLayer(layer_id)
        if node is None or node.itemVisibilityChecked() == is_visible:
            continue
        if is_visible:
            node.setItemVisibilityCheckedParentRecursive(True)
        else:
            node.setItemVisibilityChecked(False)
        changed.append(layer_id)
    return changed


def set_for_now(ids: Iterable[str], is_visible: bool) -> list[str]:
    """Do as ``set_visible`` until ``set_for_good``; a project that is saved meanwhile says so."""
    changed = set_visible(ids, is_visible)
    for layer_id in changed:
        QgsProject.instance().mapLayer(layer_id).setCustomProperty(_BEFORE, int(not is_visible))
    return changed


def set_for_good(ids: Iterable[str], is_visible: bool) -> None:
    """Do as ``set_visible``, whatever ``set_for_now`` did before."""
    ids = list(ids)
    set_visible(ids, is_visible)
    for layer_id in ids:
        layer = QgsProject.instance().mapLayer(layer_id)
        if layer is not None:
            layer.removeCustomProperty(_BEFORE)


def undo_for_now() -> None:
    """Show or hide layers as they were before ``set_for_now``, where nothing has ended that."""
    for layer in QgsProject.instance().mapLayers().values():
        before = layer.customProperty(_BEFORE)
        if before is not None:
            set_for_good([layer.id()], bool(int(before)))


def _parent(batch: QgsMapLayer | None, run: Path | None) -> QgsLayerTreeGroup:
    """Return the group that a batch is in, else that of its run, else the whole tree."""
    node = _root().findLayer(batch.id()) if batch is not None else None
    if node is not None:
        return node.parent()
    return _group_of(run) if run is not None else _root()


def _place(parent: QgsLayerTreeGroup, level: int) -> int:
    """Return where a node of this level comes in a group: below all that draw over it."""
    over = [
        place
        for place, child in enumerate(parent.children())
        if 0 <= _number(child, _LEVEL) <= level
    ]
    return over[-1] + 1 if over else 0


def _group_of(run: Path) -> QgsLayerTreeGroup:
    """Return the group of a run, wherever that was; if there is none, make one on top."""
    mark = str(run.absolute())
    groups = _root().findGroups(True)
    group = next((one for one in groups if one.customProperty(_RUN) == mark), None)
    if group is None:
        group = next((one for one in groups if _has_moved(one, run.absolute())), None)
    if group is None:
        group = _root().insertGroup(0, run.absolute().name)
    group.setCustomProperty(_RUN, mark)
    return group


def _has_moved(group: QgsLayerTreeGroup, run: Path) -> bool:
    """Whether a group is of a run that was elsewhere when the project was saved."""
    mark, is_gone = group.customProperty(_RUN), False
    with suppress(OSError):  # a share that is disconnected is not gone
        is_gone = bool(mark) and not exists(Path(mark))
    batches = (node.layer() for node in group.findLayers() if _number(node, _LEVEL) == BATCH)
    return is_gone and any(
        run in Path(layer.source().partition("|")[0]).parents for layer in batches
    )


def _insert(
    layer: QgsMapLayer, parent: QgsLayerTreeGroup, place: int, is_visible: bool = True
) -> None:
    node = QgsLayerTreeLayer(layer)
    node.setItemVisibilityChecked(is_visible)
    node.setExpanded(False)  # legends of many batches would push the rest out of sight
    parent.insertChildNode(place, node)


def _number(node: QgsLayerTreeNode, name: str) -> int:
    """Return the mark of a layer's node, or of a group; -1 for others."""
    marked = node.layer() if isinstance(node, QgsLayerTreeLayer) else node
    value = marked.customProperty(name) if marked is not None else None
    return -1 if value is None else int(value)


def _level(layer: QgsMapLayer) -> int:
    value = layer.customProperty(_LEVEL)
    return -1 if value is None else int(value)


def _root() -> QgsLayerTree:
    return QgsProject.instance().layerTreeRoot()
