"""Archives of vector files are read whole, or not at all."""

from __future__ import annotations

import json
import logging
import zipfile
from pathlib import Path

import geopandas as gpd
import pytest
import shapely

from owl_geo.ground.vector import UNREADABLE, read_table
from owl_geo.ground.vector_files import list_layers, read


def place(name: str) -> str:
    """A point, called so."""
    point = "<Point><coordinates>9,45</coordinates></Point>"
    return f"<Placemark><name>{name}</name>{point}</Placemark>"


def link(href: str) -> str:
    return f"<NetworkLink><Link><href>{href}</href></Link></NetworkLink>"


def kmz(path: Path, **files: str) -> Path:
    """Write an archive of documents; ``files__b`` stands for files/b.kml."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, inside in files.items():
            text = (
                f'<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{inside}</Document></kml>'
            )
            archive.writestr(f"{name.replace('__', '/')}.kml", text)
    return path


def names_in(path: Path) -> list[str]:
    return [
        name for layer, _ in list_layers(str(path)) for name in read(str(path), layer=layer)["Name"]
    ]


@pytest.mark.parametrize(
    "files",
    [
        {"doc": place("a"), "other": place("b")},
        {"files__a": place("a"), "files__b": place("b")},
        {"doc": place("a") + link("b.kml"), "b": place("b")},
        {"doc": link("files/b.kml"), "files__b": place("b"), "files__c": place("c")},
        {
            "doc": link("files/b.kml"),
            "files__b": place("b") + link("c.kml"),
            "files__c": place("c"),
        },
        {"doc": f"<Folder>{link('b.kml')}</Folder>{place('a')}", "b": place("b")},
    ],
)
def test_a_kmz_of_which_gdal_finds_a_part_is_refused(files: dict[str, str], tmp_path: Path) -> None:
    path = kmz(tmp_path / "a.kmz", **files)
    with pytest.raises(
        UNREADABLE, match=r"2 places in several KML files \(.*\), of which GDAL fin"
    ):
        list_layers(str(path))


def test_a_kmz_of_several_files_is_read_where_gdal_finds_all(tmp_path: Path) -> None:
    doc = link("files/b.kml") + link("files/c.kml")
    path = kmz(tmp_path / "a.kmz", doc=doc, files__b=place("b"), files__c=place("c"))
    assert names_in(path) == ["b", "c"]
    assert names_in(kmz(tmp_path / "b.kmz", doc=place("a"), style="<Style/>")) == ["a"]


def test_links_out_of_a_kmz_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    inside = kmz(tmp_path / "a.kmz", doc=link("b.kml"), b=place("b"))
    with caplog.at_level(logging.WARNING):
        assert len(read_table(str(inside))) == 1
    assert caplog.text == ""
    outside = kmz(tmp_path / "b.kmz", doc=place("a") + link("https://example.org/b.kml"))
    with caplog.at_level(logging.WARNING):
        assert len(read_table(str(outside))) == 1
    assert "it links to other files (NetworkLink), which are not read" in caplog.text


def test_an_archive_of_which_gdal_reads_some_of_the_files_is_refused(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"use": ["wood"]}, geometry=[shapely.box(9, 45, 10, 46)], crs=4326)
    files = {}
    for name in ("a.shp", "b.shp", "a.geojson", "b.gpkg"):
        frame.to_file(tmp_path / name)
    for stem in "ab":
        files[stem] = [
            p for p in tmp_path.glob(f"{stem}.*") if p.suffix not in (".geojson", ".gpkg")
        ]

    def zipped(name: str, *parts: Path) -> Path:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for part in parts:
                archive.write(part, part.name)
        return tmp_path / name

    geojson, gpkg = tmp_path / "a.geojson", tmp_path / "b.gpkg"
    about = tmp_path / "metadata.json"
    about.write_text(json.dumps({"title": "woods"}), encoding="utf-8")
    for name, parts in {
        "other": [*files["a"], gpkg],
        "none": [geojson, gpkg],
    }.items():
        with pytest.raises(UNREADABLE, match=r"several data sets: .*Unpack it and name one"):
            list_layers(str(zipped(f"{name}.zip", *parts)))
    assert [name for name, _ in list_layers(str(zipped("two.zip", *files["a"], *files["b"])))] == [
        "a",
        "b",
    ]
    for path in (
        zipped("again.zip", *files["a"], geojson),
        zipped("about.zip", *files["a"], about),
    ):
        assert [name for name, _ in list_layers(str(path))] == ["a"]
