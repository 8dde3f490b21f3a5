"""Where targets are, in one piece: patches that are side by side or overlap become one polygon."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET  # nosec B405 # only to write

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS
from rasterio import Affine
from rasterio.features import shapes
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from owl_geo.disk import gpkg, qml
from owl_geo.disk.atomic import writing_file
from owl_geo.ground.areas import hectares
from owl_geo.ground.crs import TURNS, crs_of, is_in_degrees, turned
from owl_geo.ground.footprints import corners_in
from owl_geo.ground.transformations import reproject
from owl_geo.ground.windows import Points, PoolWindows, Windows
from owl_geo.maps.cells import cells_of
from owl_geo.maps.outputs import FinishedScenes, Output
from owl_geo.types import AnyArray, BoolArray, FloatArray, IntArray

LAYER = "areas"
_OUTLINE = "#D55E00"
_GRAIN = 1e-5  # of a patch's edge; what is closer is one point, in whichever scene


class Areas(Output):
    """Polygons of the patches that are targets, by their answer or else by the probability."""

    is_shown = True

    def whole(self, folder: Path) -> Path:
        """Return the GeoPackage."""
        return folder / f"{self.name}.gpkg"

    def write_whole(self, folder: Path, scenes: FinishedScenes) -> None:
        """Write the GeoPackage."""
        write_areas(self.whole(folder), scenes.areas, positive=scenes.legend.positive)


def dissolved(
    windows: PoolWindows, probability: FloatArray, answered: BoolArray, crs: CRS
) -> gpd.GeoDataFrame:
    """Return n patches as polygons in ``crs``, of which no two overlap or share an edge.

    Columns are area_ha, hectares of ground, which count ground once however many patches show it;
    patches, how many lie in it; answered, how many of these a person answered; probability, the
    mean of ``probability`` ``(n,)`` over those that nobody did, not-a-number if there are none; and
    geometry, the largest first.
    """
    if len(windows) == 0:
        columns = {"area_ha": float, "patches": int, "answered": int, "probability": float}
        return gpd.GeoDataFrame(
            pd.DataFrame(columns=list(columns)).astype(columns), geometry=[], crs=crs
        )
    parts = [_of_scene(of_scene, crs) for _, of_scene in windows.by_scene()]
    if is_in_degrees(crs):
        parts = _of_one_turn(parts)
    scene = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    corners = corners_in(windows, crs)
    edge = float(np.median(np.linalg.norm(corners[:, 1] - corners[:, 0], axis=-1)))
    whole = _across_scenes(np.concatenate(parts), scene, edge * _GRAIN)
    area = hectares(whole, crs)
    owner = np.zeros(len(windows), dtype=np.int64)
    centres, tree = corners.mean(axis=1), shapely.STRtree(whole)
    for turn in TURNS if is_in_degrees(crs) else TURNS[:1]:
        patch, polygon = tree.query(shapely.points(centres + np.array((turn, 0.0))), "within")
        owner[patch] = polygon
    guessed = np.where(answered, np.nan, probability)
    patches = pd.DataFrame({"owner": owner, "answered": answered, "guessed": guessed})
    groups = patches.groupby("owner")
    counts = {
        "patches": groups.size(),
        "answered": groups["answered"].sum(),
        "probability": groups["guessed"].mean(),
    }
    table = pd.DataFrame({"area_ha": area, **counts}, index=range(len(whole)))
    order = np.argsort(-area, kind="stable")
    return gpd.GeoDataFrame(
        table.iloc[order].reset_index(drop=True), geometry=whole[order], crs=crs
    )


def _of_scene(windows: Windows, crs: CRS) -> AnyArray:
    """Return the polygons that the windows of one scene make together, in ``crs``."""
    cells = cells_of(windows)
    top, left = cells.row.min(), cells.col.min()
    rows, cols = cells.row - top, cells.col - left
    filled = np.zeros((rows.max() + cells.span, cols.max() + cells.span), dtype=np.uint8)
    for down in range(cells.span):
        for right in range(cells.span):
            filled[rows + down, cols + right] = 1
    a, b, c, d, e, f = cells.grid.transform
    transform = Affine(a, b, c + a * left + b * top, d, e, f + d * left + e * top)
    found = shapes(filled, mask=filled.astype(bool), connectivity=4, transform=transform)
    polygons = np.array([shapely.geometry.shape(outline) for outline, _ in found], dtype=object)
    own = crs_of(cells.grid.crs)
    if own == crs:
        return polygons
    # an edge of many patches is straight in the scene's CRS only
    edge = math.hypot(a, d) * cells.span
    around = windows.place

    def convert(points: Points) -> Points:
        points = reproject(points, own, crs, around)
        if is_in_degrees(crs) and around is not None:  # in one piece across the antimeridian
            points = np.stack([turned(points[:, 0], around[0]), points[:, 1]], axis=-1)
        return points

    return np.asarray(shapely.transform(shapely.segmentize(polygons, edge), convert))


def _of_one_turn(parts: Sequence[AnyArray]) -> list[AnyArray]:
    """Return the polygons of each scene by longitudes near those of the first, by whole turns.

    Scenes on both sides of the antimeridian could not meet otherwise.
    """
    middle = np.array([np.mean(shapely.total_bounds(part)[[0, 2]]) for part in parts])
    return [
        np.asarray(
            shapely.transform(part, lambda xy, by=by: xy + np.array((by, 0.0))) if by else part
        )
        for part, by in zip(parts, turned(middle, middle[0]) - middle, strict=True)
    ]


def _across_scenes(polygons: AnyArray, scene: IntArray, grain: float) -> AnyArray:
    """Return the polygons of several scenes, of which those that meet or overlap become one."""
    first, second = shapely.STRtree(polygons).query(polygons, "dwithin", distance=grain)
    meet = scene[first] != scene[second]
    if not meet.any():
        return polygons
    n = len(polygons)
    links = coo_array((np.ones(meet.sum(), bool), (first[meet], second[meet])), shape=(n, n))
    _, group = connected_components(links, directed=False)
    alone = np.bincount(group)[group] == 1
    together = [
        shapely.get_parts(shapely.union_all(polygons[group == number], grid_size=grain))
        for number in np.unique(group[~alone])
    ]
    return np.concatenate([polygons[alone], *together])


def write_areas(path: Path, areas: gpd.GeoDataFrame, *, positive: str) -> None:
    """Write what ``dissolved`` returned as the layer ``areas`` of a GeoPackage.

    The file opens styled in QGIS and replaces an existing one. Raises RunError if the disk is full
    or the folder cannot be written.
    """
    columns = list(areas.columns.drop("geometry"))

    def add_style(connection: sqlite3.Connection) -> None:
        about = f"the outlines of {positive}"
        style = _style(columns, positive)
        gpkg.add_style(connection, LAYER, style, name="owl-geo areas", about=about)

    with writing_file(path) as partial:
        try:
            gpkg.create(partial, areas, LAYER, spatial_index=True, finish=add_style)
        except sqlite3.Error as error:
            raise OSError(str(error)) from error


def _style(columns: Sequence[str], positive: str) -> str:
    """Return the QML: outlines that show the imagery."""
    root = qml.root()
    renderer = ET.SubElement(root, "renderer-v2", type="singleSymbol", forceraster="0")
    symbol = ET.SubElement(
        ET.SubElement(renderer, "symbols"), "symbol", name="0", type="fill", alpha="1"
    )
    symbol.extend([qml.frame("#000000", 0.9), qml.frame(_OUTLINE, 0.6)])
    aliases = {
        "area_ha": "Hectares",
        "patches": "Patches",
        "answered": "Of these answered",
        "probability": f"Mean probability of {positive} of the others",
    }
    group = ET.SubElement(root, "aliases")
    for index, name in enumerate(columns):
        ET.SubElement(group, "alias", field=name, index=str(index), name=aliases.get(name, ""))
    title = "round(\"area_ha\", 2) || ' ha'"
    ET.SubElement(root, "previewExpression").text = title
    rows = {aliases[name]: qml.column(name) for name in columns[1:]}
    ET.SubElement(root, "mapTip").text = qml.map_tip(title, rows)
    return ET.tostring(root, encoding="unicode")
