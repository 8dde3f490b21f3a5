"""All places of KML are read, and images that lie on the map are none."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import pytest
import shapely

from owl_geo.concepts.layers import load
from owl_geo.errors import LayerError
from owl_geo.ground.kml_files import n_images
from owl_geo.ground.vector import read_table
from owl_geo.ground.vector_files import list_layers
from owl_geo.settings.concepts import LayerSettings

BOX = "<north>45.2</north><south>45</south><east>9.1</east><west>9</west>"
IMAGE = (
    "<GroundOverlay><name>map</name><Icon><href>map.png</href></Icon>"
    f"<LatLonBox>{BOX}</LatLonBox></GroundOverlay>"
)
QUAD = (
    '<GroundOverlay xmlns:gx="http://www.google.com/kml/ext/2.2"><gx:LatLonQuad><coordinates>'
    "9,45 9.1,45 9.1,45.1 9,45.1</coordinates></gx:LatLonQuad></GroundOverlay >"
)
RING = "9,45 9.01,45 9.01,45.01 9,45.01 9,45"
SITE = (
    "<Placemark><name>site</name><description>beside the GroundOverlay</description><Polygon>"
    "<outerBoundaryIs><LinearRing>"
    f"<coordinates>{RING}</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark>"
)
POINT = "<Placemark><name>spot</name><Point><coordinates>9,45</coordinates></Point></Placemark>"


def kml(inside: str) -> str:
    return (
        '<?xml version="1.0"?>\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"{inside}</Document></kml>"
    )


def written(path: Path, inside: str) -> Path:
    """Write KML, or an archive of it with a picture beside it."""
    if path.suffix == ".kml":
        path.write_text(kml(inside))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("doc.kml", kml(inside))
            archive.writestr("map.png", b"a picture")
    return path


@pytest.mark.parametrize("suffix", [".kml", ".kmz", ".zip"])
def test_images_on_the_map_are_left_out_and_said(
    suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """GDAL takes the first for a polygon of 175 square kilometres."""
    path = written(tmp_path / f"a{suffix}", IMAGE + SITE + QUAD + POINT)
    table = read_table(str(path))
    assert table["Name"].tolist() == ["site", "spot"]
    assert table.geometry.iloc[0].area == pytest.approx(1e-4)
    assert caplog.text.count("2 images on the map (GroundOverlay) are left out") == 1


@pytest.mark.parametrize("suffix", [".kml", ".kmz"])
def test_what_has_no_images_is_read_as_it_is(
    suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path / f"a{suffix}", SITE)
    with caplog.at_level(logging.WARNING):
        assert read_table(str(path))["Name"].tolist() == ["site"]
    assert caplog.text == ""
    assert n_images(path) == 0


def test_folders_stay_layers(tmp_path: Path) -> None:
    inside = f"<Folder><name>North</name>{IMAGE}{SITE}</Folder><Folder><name>Map</name>{POINT}"
    path = written(tmp_path / "a.kml", f"{inside}</Folder>")
    assert [name for name, _ in list_layers(str(path))] == ["North", "Map"]
    assert read_table(str(path), layer="North")["Name"].tolist() == ["site"]


def test_a_prefix_is_part_of_the_element(tmp_path: Path) -> None:
    text = kml(IMAGE + SITE).replace("<GroundOverlay>", "<k:GroundOverlay>")
    text = text.replace("</GroundOverlay>", "</k:GroundOverlay>")
    (tmp_path / "a.kml").write_text(text)
    assert n_images(tmp_path / "a.kml") == 1


@pytest.mark.parametrize("prefix", ["", "k:"])
@pytest.mark.parametrize(
    ("inside", "layers"),
    [
        (SITE + POINT, {"a": ["site", "spot"]}),
        (
            f"<Folder><name>A</name>{SITE}</Folder><Folder><name>B</name>{POINT}</Folder>",
            {"A": ["site"], "B": ["spot"]},
        ),
        (
            f"<Document><name>A</name>{SITE}</Document><Document><name>B</name>{POINT}</Document>",
            {"A": ["site"], "B": ["spot"]},
        ),
        (f"<Folder><name>A</name>{SITE}{POINT}</Folder>", {"A": ["site", "spot"]}),
        (SITE, {"a": ["site"]}),
        (f"{IMAGE}<Folder><name>A</name>{SITE}</Folder>", {"A": ["site"]}),
    ],
)
def test_what_stands_side_by_side_at_the_top_is_read(
    inside: str, layers: dict[str, list[str]], prefix: str, tmp_path: Path
) -> None:
    """GDAL reads the last alone."""
    text = f'<kml xmlns="http://www.opengis.net/kml/2.2">\n{inside}\n</kml>\n'
    if prefix:
        text = text.replace("</", "<//").replace("<", "<k:").replace("<k://", "</k:")
        text = text.replace("xmlns=", "xmlns:k=").replace("k:gx:", "gx:")
    path = tmp_path / "a.kml"
    path.write_text(text)
    found = {
        name: read_table(str(path), layer=name)["Name"].tolist()
        for name, _ in list_layers(str(path))
    }
    assert found == layers


def test_a_file_of_images_alone_says_so(tmp_path: Path) -> None:
    path = written(tmp_path / "a.kmz", IMAGE)
    with pytest.raises(LayerError, match="has no layer with geometry; it shows images on the map"):
        load(LayerSettings(path=str(path)), None)


@pytest.mark.parametrize("suffix", [".kml", ".kmz", ".zip"])
@pytest.mark.parametrize("prefix", ["", "kml:"])
def test_holes_that_share_an_element_are_holes(suffix: str, prefix: str, tmp_path: Path) -> None:
    """Google Earth reads them so; the format wants an element for each, and GDAL reads one."""
    holes = "".join(
        f"<LinearRing><coordinates>{x},45.1 {x + 0.1},45.1 {x + 0.1},45.2 {x},45.2 {x},45.1"
        "</coordinates></LinearRing>\n"
        for x in (9.1, 9.3, 9.5)
    )
    outer = "<LinearRing><coordinates>9,45 10,45 10,46 9,46 9,45</coordinates></LinearRing>"
    place = (
        "<Placemark><name>a</name><Polygon>"
        f"<outerBoundaryIs>{outer}</outerBoundaryIs>"
        f"<innerBoundaryIs>{holes}</innerBoundaryIs></Polygon></Placemark>"
    )
    path = written(tmp_path / f"a{suffix}", place + SITE)
    if prefix and suffix == ".kml":
        text = path.read_text().replace("</", "<//").replace("<", f"<{prefix}")
        text = text.replace(f"<{prefix}//", f"</{prefix}").replace(f"<{prefix}?", "<?")
        path.write_text(text.replace("xmlns=", "xmlns:kml="))
    shapes = read_table(str(path)).geometry
    assert shapes.area.tolist() == pytest.approx([1 - 3 * 0.01, 0.0001])
    assert shapely.contains_xy(shapes[0], [9.15, 9.35, 9.55, 9.7], 45.15).tolist() == [
        *(False, False, False),
        True,
    ]


def _ring(x: float) -> str:
    return (
        f"<LinearRing><coordinates>{x},45 {x + 0.1},45 {x + 0.1},45.1 {x},45.1 {x},45"
        "</coordinates></LinearRing>"
    )


@pytest.mark.parametrize("suffix", [".kml", ".kmz"])
def test_rings_of_no_polygon_are_closed_lines(suffix: str, tmp_path: Path) -> None:
    """As GDAL hands them on, nothing can read them."""
    inside = (
        f"<Placemark><name>alone</name>{_ring(9)}</Placemark>"
        f"<Placemark><name>two</name><MultiGeometry>{_ring(9)}{_ring(9.5)}</MultiGeometry>"
        "</Placemark>"
    )
    shapes = read_table(str(written(tmp_path / f"a{suffix}", inside + SITE))).geometry
    assert shapes.length.tolist() == pytest.approx([0.4, 0.8, 0.04])
    assert shapes.area.tolist() == pytest.approx([0, 0, 0.0001])


@pytest.mark.parametrize("between", ["", "</outerBoundaryIs><outerBoundaryIs>"])
def test_areas_of_which_one_boundary_is_read_are_told(
    between: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    boundaries = f"<outerBoundaryIs>{_ring(9)}{between}{_ring(9.5)}</outerBoundaryIs>"
    inside = f"<Placemark><Polygon>{boundaries}</Polygon></Placemark>{SITE}"
    read_table(str(written(tmp_path / "a.kml", inside)))
    assert "1 polygon has several outer boundaries, of which the last is read" in caplog.text
