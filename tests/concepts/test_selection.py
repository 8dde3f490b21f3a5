"""Which features of a layer a concept asks for, and what is said where none can be found."""

from __future__ import annotations

import geopandas as gpd
import pytest
import shapely

from owl_geo.concepts.extents import Extent
from owl_geo.concepts.filters import TagFilter
from owl_geo.concepts.layers import Layer
from owl_geo.concepts.selection import Selection
from owl_geo.errors import LayerError
from owl_geo.ground.crs import crs_of

POINTS = [shapely.Point(x, 0) for x in range(5)]


def layer(**columns: list[object]) -> Layer:
    features = gpd.GeoDataFrame(columns, geometry=POINTS, crs="EPSG:32631")
    return Layer(features, Extent(crs_of("EPSG:32631"), (0, 0, 4, 0)), tuple(columns))


LAND = layer(
    landuse=["forest", "residential", None, "residential", " "],
    natural=["wood", None, "wood", None, None],
    levels=[1.0, 2.0, 2.0, None, None],
)


def by_tags(**classes: tuple[TagFilter, ...]) -> Selection:
    return Selection("cover", "land", classes)


def chosen(selection: Selection, of: Layer = LAND) -> dict[str, list[float]]:
    """Return where the features of each class lie."""
    names, geometries, codes = selection.features(of)
    found: dict[str, list[float]] = {name: [] for name in names}
    for geometry, code in zip(geometries, codes, strict=True):
        found[names[code]].append(geometry.x)
    return found


def test_features_come_class_by_class_and_once_for_each_that_they_fit() -> None:
    selection = by_tags(
        forest=(TagFilter("landuse", ("forest",)), TagFilter("natural", ("wood",))),
        tree=(TagFilter("natural"),),
        water=(TagFilter("natural", ("water",)),),
        urban=(TagFilter("landuse", ("residential", "retail")),),
    )
    assert chosen(selection) == {"forest": [0, 2], "tree": [0, 2], "water": [], "urban": [1, 3]}


def test_without_filters_every_feature_is_asked_for() -> None:
    assert chosen(Selection("near", "land", {"": ()})) == {"": [0, 1, 2, 3, 4]}


def test_the_values_of_a_column_are_classes_and_gaps_are_none() -> None:
    by_column = Selection("cover", "land", {}, "landuse")
    assert chosen(by_column) == {"forest": [0], "residential": [1, 3]}
    assert chosen(Selection("cover", "land", {}, "levels")) == {"1": [0], "2": [1, 2]}


def test_each_attribute_is_needed_once() -> None:
    selection = by_tags(
        a=(TagFilter("landuse", ("x",)), TagFilter("natural")), b=(TagFilter("landuse"),)
    )
    assert selection.keys == ("landuse", "natural")
    assert str(selection) == "landuse=x, natural, landuse"
    assert Selection("cover", "land", {}, "levels").keys == ("levels",)


def test_an_attribute_that_is_missing_among_others_matches_nothing() -> None:
    selection = by_tags(forest=(TagFilter("landuse", ("forest",)), TagFilter("barrier")))
    assert selection.missing(LAND) == ["barrier"]
    assert chosen(selection) == {"forest": [0]}


@pytest.mark.parametrize(
    "selection",
    [by_tags(forest=(TagFilter("landus", ("forest",)),)), Selection("cover", "land", {}, "landus")],
    ids=["by tags", "by column"],
)
def test_where_no_attribute_is_there_the_nearest_is_named(selection: Selection) -> None:
    with pytest.raises(LayerError) as caught:
        selection.features(LAND)
    text = str(caught.value)
    assert text.startswith("concepts.cover: layer 'land' has no column 'landus'")
    assert "did you mean 'landuse'?" in text


def test_a_value_that_was_typed_wrongly_is_guessed() -> None:
    wrong = by_tags(urban=(TagFilter("barrier"), TagFilter("landuse", ("residental",))))
    assert wrong.meant(LAND) == "; did you mean 'landuse=residential'?"
    assert by_tags(urban=(TagFilter("landuse", ("quarry",)),)).meant(LAND) == ""
    assert by_tags(urban=(TagFilter("barrier", ("fence",)),)).meant(LAND) == ""
