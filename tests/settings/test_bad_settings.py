"""owl.toml, lists, STAC items and records of any kind: what they say, or one line."""

from __future__ import annotations

import importlib
import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasters import coordinates, write_raster
from searches import make
from strangers import Owl

from owl_geo import Run, query
from owl_geo.disk.file_names import file_names
from owl_geo.errors import ConfigError, OwlError
from owl_geo.settings import owl_toml
from owl_geo.sources.stac import scene_of_item
from owl_geo.sources.stac_items import items_of, path_of
from owl_geo.verbs.prediction_record import PredictionRecord


@pytest.fixture
def owl(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Owl:
    return Owl(tmp_path, capfd)


# --- owl.toml -------------------------------------------------------------------------------------

BAD_TOML: dict[str, Callable[[], bytes]] = {
    "broken": lambda: b"[source\nkind = 1",
    "a wrong type": lambda: b"source = 5\n",
    "a list for a table": lambda: b"layers = [1, 2]\nconcepts = [1]\n[source]\nkind = 'cube'\n",
    "an unknown key": lambda: b"sed = 1\n[source]\nkind = 'synthetic'\n",
    "a key twice": lambda: b"seed = 1\nseed = 2\n",
    "deep lists": lambda: b"a = " + b"[" * 10**5 + b"]" * 10**5,
    "deep tables": lambda: b"[" + b".".join([b"a"] * 1000) + b"]\n",
    "a number without end": lambda: b"seed = " + b"9" * 10**5 + b"\n",
    "a number beyond the machine's": lambda: b"seed = 123456789012345678901\n",
    "a patch beyond memory": lambda: (
        b"[source]\nkind='geotiff'\npatch_size=1000000000\nscenes=[]\n"
    ),
    "not-a-number": lambda: b"[source]\nkind = 'synthetic'\nsignal = nan\n",
    "Latin-1": lambda: "run_id = 'é'\n".encode("latin-1"),
    "NUL": lambda: b"run_id = 'a\x00b'\n",
    "an escaped NUL": lambda: b'run_id = "a\\u0000b"\n[source]\nkind = "synthetic"\n',
    "an escape in a path": lambda: b'[source]\nkind = "cube"\npath = "a\\u0001"\n',
    "ten megabytes": lambda: b"run_id = '" + b"x" * 10**7 + b"'\n[source]\nkind = 'no'\n",
    "a class with a line break": lambda: b'classes = ["a", "b\\nc"]\n[source]\nkind="synthetic"\n',
    "a class that is an expression": lambda: (
        b'classes = ["a", "[% env(1) %]"]\npositive="a"\n[source]\nkind="synthetic"\n'
    ),
    "a class without end": lambda: (
        b'classes = ["a", "' + b"b" * 10**4 + b'"]\npositive="a"\n[source]\nkind="synthetic"\n'
    ),
    "a concept without end": lambda: (
        b'[source]\nkind="synthetic"\n[concepts."' + b"b" * 10**4 + b'"]\nkind="given"\n'
    ),
    "a concept without a name": lambda: (
        b'[source]\nkind="synthetic"\n[concepts.""]\nkind="given"\n'
    ),
    "a concept that ends an expression": lambda: (
        b'[source]\nkind="synthetic"\n[concepts."x%]"]\nkind="given"\n'
    ),
}


@pytest.mark.parametrize("name", BAD_TOML)
def test_bad_settings_are_one_short_line(name: str, owl: Owl) -> None:
    run = owl.folder / "search"
    run.mkdir()
    (run / "owl.toml").write_bytes(BAD_TOML[name]())
    assert "owl.toml" in owl("status", run).refusal()
    (owl.folder / "config.toml").write_bytes(BAD_TOML[name]())
    scene = write_raster(owl.folder / "scene.tif", coordinates(16, 16, 1))
    if name not in ("a patch beyond memory", "a wrong type", "not-a-number", "a list for a table"):
        owl.init(scene, "--config", owl.folder / "config.toml").refusal()


def test_a_mark_at_the_beginning_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "owl.toml"
    path.write_bytes(b"\xef\xbb\xbf[source]\nkind = 'synthetic'\n")
    assert owl_toml.load(path).source.kind == "synthetic"


names = st.text(min_size=1, max_size=30).filter(str.strip)


@given(names, names, names)
def test_any_names_are_written_and_read_alike_by_core_and_plugin(
    positive: str, concept: str, scene: str
) -> None:
    values = {
        "classes": ["absent", positive],
        "positive": positive,
        "source": {"kind": "geotiff", "scenes": [{"name": scene, "path": f"{scene}.tif"}]},
        "concepts": {concept: {"kind": "raster", "path": "a.tif", "names": {"1": positive}}},
    }
    try:
        settings = owl_toml.parse(values, "the test")
    except ConfigError as error:
        assert "\n" not in str(error)
        return
    text = owl_toml.dump(settings)
    assert owl_toml.parse_text(text, "again") == settings
    assert plugin_lines().parse_lines(text) == tomllib.loads(text)


@pytest.mark.parametrize("sign", ["\t", "\x07", "\x7f", "\x85"])
def test_control_characters_are_refused_where_they_stand(sign: str) -> None:
    tables = {"classes": ["absent", f"mi{sign}ne"]}
    with pytest.raises(ConfigError, match=r"classes\.1 has control characters: 'mi\\.*ne'"):
        owl_toml.parse({"source": {"kind": "synthetic"}, **tables}, "the test")
    weights = {"acquisition": {"weights": {f"ur{sign}ban": 2.0}}}
    with pytest.raises(ConfigError, match=r"a name in acquisition\.weights has control"):
        owl_toml.parse({"source": {"kind": "synthetic"}, **weights}, "the test")


def plugin_lines() -> Any:
    """The plugin's own reader of TOML, outside QGIS."""
    from fuzz.targets import PluginToml

    if "owl_geo_labeler.toml_lines" not in sys.modules:
        PluginToml(Path())
    return importlib.import_module("owl_geo_labeler.toml_lines")


@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=8, unique=True))
def test_any_scenes_have_file_names_of_their_own_that_every_system_takes(
    scenes: list[str],
) -> None:
    scenes = [name for name in scenes if name.isprintable()]
    found = file_names(scenes)
    assert len({name.casefold() for name in found.values()}) == len(scenes)
    for name in found.values():
        assert not set(name) & set('/\\:*?"<>|\x00')
        assert name[0] not in ".-"
        assert len(name.encode()) < 200


# --- lists of scenes ------------------------------------------------------------------------------

BAD_LISTS = {
    "nothing": b"",
    "comments": b"# a\n\n",
    "noise": b"\xff\xfe\x00\x01",
    "NUL": b"a\x00.tif\n",
    "itself": b"@list.txt\n",
    "what is not there": b"../../etc/none.tif\n",
}


@pytest.mark.parametrize("name", BAD_LISTS)
def test_a_bad_list_of_scenes_is_one_line(name: str, owl: Owl) -> None:
    path = owl.folder / "list.txt"
    path.write_bytes(BAD_LISTS[name])
    owl.init(f"@{path}").refusal()


# --- STAC -----------------------------------------------------------------------------------------


def item(**asset: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": "../../x",
        "assets": {"red": {"href": "b.tif", "type": "image/tiff", "roles": ["data"], **asset}},
    }


BAD_STAC: dict[str, str] = {
    "nothing": "",
    "a number": "5",
    "deep": "[" * 10**5,
    "no assets": json.dumps({"type": "Feature", "id": "a", "assets": {}}),
    "assets that are a list": json.dumps({"type": "Feature", "id": "a", "assets": [1]}),
    "features that are numbers": json.dumps({"type": "FeatureCollection", "features": [1]}),
    "a link that is none": json.dumps(item(href="http://[")),
    "a link with a NUL": json.dumps(item(href="a\x00b")),
    "a link with a line break": json.dumps(item(href="a%0Ab")),
    "a dataset in a link": json.dumps(item(href="<VRTDataset><!-- :// --></VRTDataset>")),
    "a link to a file that is no raster": json.dumps(item(href="file:///etc/passwd")),
    "a link out of the folder": json.dumps(item(href="../../../../../../etc/passwd")),
}


@pytest.mark.parametrize("name", BAD_STAC)
def test_a_bad_stac_item_is_one_line(name: str, owl: Owl) -> None:
    path = owl.folder / "item.json"
    path.write_text(BAD_STAC[name], encoding="utf-8")
    assert "root:" not in owl.init(path).refusal()


@pytest.mark.parametrize("value", [None, 5, "data", ["data"], {"a": 1}, [{"a": 1}], [[1]]])
def test_any_type_in_an_asset_is_taken_or_left(value: Any, tmp_path: Path) -> None:
    path = tmp_path / "item.json"
    for key in ("roles", "eo:bands", "bands", "type"):
        path.write_text(json.dumps(item(**{key: value})), encoding="utf-8")
        try:
            found = scene_of_item(items_of(str(path))[0], ())
        except OwlError as error:
            assert "no asset that is a raster" in str(error)
        else:
            assert found.files == (str(tmp_path / "b.tif"),)


@pytest.mark.parametrize(
    "href", ["MEM:::DATAPOINTER=1", "PG:host=x ://", "<GDAL_WMS>://</GDAL_WMS>", "gopher://x/y"]
)
def test_a_link_is_a_file_or_on_a_server_and_nothing_else_that_gdal_opens(
    href: str, tmp_path: Path
) -> None:
    assert path_of(href, str(tmp_path / "item.json")).startswith(str(tmp_path))


# --- what a run remembers -------------------------------------------------------------------------

DAMAGE = ("", "5", "[]", "{}", "null", '{"round": []}', "[" * 10**5, "\x00", '{"a": ' + "9" * 9999)


@pytest.mark.parametrize("text", DAMAGE, ids=range(len(DAMAGE)))
@pytest.mark.parametrize("file", ["index.json", "rounds/000/round.json"])
def test_a_damaged_record_is_one_line(file: str, text: str, owl: Owl) -> None:
    run = make(owl.folder / "run")
    query(run)
    (run.path / file).write_text(text, encoding="utf-8")
    assert "is damaged" in owl("status", run.path).refusal()


CHANGES: dict[str, Any] = {
    "scenes": [{"s": [1] * 9}, {"s": ["EPSG:1"]}, [], "a"],
    "statistics": [{"bands": ["a"]}, [], {"bands": 5}, {"bands": ["a"], "median": [], "scale": []}],
    "parts": ["a", [1.5], {"a": 1}],
    "since": ["a", [1], None],
}


def test_any_damaged_value_of_the_index_is_one_line(owl: Owl) -> None:
    run = make(owl.folder / "run")
    good = json.loads((run.path / "index.json").read_text(encoding="utf-8"))
    for key, values in CHANGES.items():
        for value in values:
            changed = json.dumps({**good, key: value})
            (run.path / "index.json").write_text(changed, encoding="utf-8")
            assert "is damaged" in owl("status", run.path).refusal()


@pytest.mark.parametrize("file", ["../../victim", "/victim", "a/b", "a\\b", "..", "C:x", "a\x00b"])
def test_a_record_of_predictions_deletes_nothing_outside(file: str, owl: Owl) -> None:
    path = owl.folder / "predictions.json"
    entry = {"file": file, "made_from": "x"}
    path.write_text(json.dumps({"whole": "", "scenes": {"s": entry}}), encoding="utf-8")
    assert PredictionRecord.read(path).scenes == {}


def test_a_link_in_the_path_of_a_file_of_the_run_is_not_written_through(owl: Owl) -> None:
    run = make(owl.folder / "run")
    victim = owl.folder / "victim"
    victim.write_text("mine", encoding="utf-8")
    (run.path / "metrics.csv").unlink(missing_ok=True)
    (run.path / "metrics.csv").symlink_to(victim)
    query(run)
    assert victim.read_text(encoding="utf-8") == "mine"
    assert not (run.path / "metrics.csv").is_symlink()
    assert Run(run.path).rounds()
