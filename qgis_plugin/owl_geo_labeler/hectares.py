"""How much ground patches are, on the ellipsoid; what several of them show counts once."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsDistanceArea,
    QgsGeometry,
    QgsProject,
    QgsSpatialIndex,
)

_WGS84 = "EPSG:7030"
_TOUCHES = 1e-3  # of a patch: neighbours whose edges differ by rounding do not overlap


def growing_hectares(
    polygons: Sequence[QgsGeometry], crs: QgsCoordinateReferenceSystem
) -> list[float]:
    """Return the hectares of none of the polygons, of the first, of the first two, and so on."""
    measure = QgsDistanceArea()
    measure.setSourceCrs(crs, QgsProject.instance().transformContext())
    measure.setEllipsoid(crs.ellipsoidAcronym() or _WGS84)
    index = QgsSpatialIndex()
    hectares = [0.0]
    for place, polygon in enumerate(polygons):
        box = polygon.boundingBox()
        box.scale(1 - _TOUCHES)
        new = polygon
        for other in index.intersects(box):
            if polygons[other].intersects(box):
                new = new.difference(polygons[other])
        index.addFeature(place, box)
        hectares.append(hectares[-1] + max(measure.measureArea(new), 0.0) / 10_000)
    return hectares
