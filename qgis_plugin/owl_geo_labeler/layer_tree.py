"""Where layers of a run go in the layer tree; existing layers stay where they are."""

from __future__ import annotations

from pathlib import Path

from qgis.core import (
    QgsLayerTree,
    QgsLayerTreeGroup,
    QgsLayerTreeLayer,
    QgsLayerTreeNode,
    QgsMapLayer,
    QgsProject,
)

# Drawing order, from the top; the batches of a run are ordered by round.
BATCH, FRAMES, MAP, SCENE = range(4)

_RUN = "owl_geo_run"  # marks a group, whatever the user has renamed it to
_LEVEL = "owl_geo_level"  # marks layers
_ROUND = "owl_geo_round"


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


def add_below(layer: QgsMapLayer, level: int, batch: QgsMapLayer | None, run: Path | None) -> None:
    """Add a layer to the project, beside a batch or in a run's group, at its level."""
    node = _root().findLayer(batch.id()) if batch is not None else None
    parent = node.parent() if node is not None else _group_of(run) if run is not None else _root()
    layer.setCustomProperty(_LEVEL, level)
    QgsProject.instance().addMapLayer(layer, False)
    over = [
        place
        for place, child in enumerate(parent.children())
        if 0 <= _number(child, _LEVEL) <= level
    ]
    _insert(layer, parent, over[-1] + 1 if over else 0)


def _group_of(run: Path) -> QgsLayerTreeGroup:
    """Return the group of a run, named after its folder; if there is none, make one on top."""
    mark = str(run.absolute())
    for group in _root().findGroups(True):
        if group.customProperty(_RUN) == mark:
            return group
    group = _root().insertGroup(0, run.absolute().name)
    group.setCustomProperty(_RUN, mark)
    return group


def _insert(layer: QgsMapLayer, parent: QgsLayerTreeGroup, place: int) -> None:
    node = QgsLayerTreeLayer(layer)
    node.setExpanded(False)  # legends of many batches would push the rest out of sight
    parent.insertChildNode(place, node)


def _number(node: QgsLayerTreeNode, name: str) -> int:
    """Return the mark of a layer's node; -1 for groups and other layers."""
    layer = node.layer() if isinstance(node, QgsLayerTreeLayer) else None
    value = layer.customProperty(name) if layer is not None else None
    return -1 if value is None else int(value)


def _root() -> QgsLayerTree:
    return QgsProject.instance().layerTreeRoot()
