"""owl.toml: what is written is read back, and what makes no sense is one line."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from owl_geo.errors import ConfigError
from owl_geo.settings import config, owl_toml

FULL = {
    "seed": 7,
    "classes": ["nothing", "mine", "landfill"],
    "positive": "mine",
    "source": {
        "kind": "geotiff",
        "scenes": [
            {"name": "a", "path": "a.tif"},
            {"name": "b", "files": ["b1.tif", "b2.tif"], "mask": "clouds.tif"},
        ],
        "bands": ["B2", "nir"],
        "mask_bad": [3, 8],
        "aoi": "here.gpkg",
    },
    "layers": {"osm": {"path": "x.osm.pbf"}, "sites": {"path": "s.gpkg", "layer": "known"}},
    "concepts": {
        "land_cover": {
            "kind": "category",
            "layer": "osm",
            "classes": {"forest": ["landuse=forest|wood"], "urban": ["landuse=residential"]},
        },
        "built": {"kind": "share", "layer": "osm", "where": ["building"]},
        "dist": {"kind": "distance", "layer": "sites"},
        "cover": {"kind": "raster", "path": "wc.tif", "names": {"10": "tree"}},
        "urban": {"kind": "equals", "of": "land_cover", "value": "urban"},
        "near": {"kind": "below", "of": "dist", "value": 2000},
        "dense": {"kind": "above", "of": "built", "value": 0.2},
    },
    "acquisition": {"alpha": "ramp", "weights": {"urban": 2, "near": 3.5}},
    "oracle": {"path": "truth.gpkg", "column": "kind", "values": {"mine": ["gold", "coal"]}},
}


def test_what_is_written_is_read_back(tmp_path) -> None:
    settings = owl_toml.parse(FULL, "test")
    path = tmp_path / "owl.toml"
    path.write_text(owl_toml.dump(settings), encoding="utf-8")
    assert owl_toml.load(path) == settings


def test_every_setting_that_is_written_has_a_comment() -> None:
    for values in ({"source": {"kind": "synthetic"}}, FULL):
        section, plain = "", []
        for line in owl_toml.dump(owl_toml.parse(values, "test")).splitlines():
            if line.startswith("["):
                section = line
            # the names in such a table are the user's own; its heading says what they are
            elif " = " in line and " # " not in line and " # " not in section:
                plain.append(line)
        assert plain == []


def broken(path: str, value: object) -> dict:
    """Copy FULL with one value replaced; dots lead into tables."""
    import copy

    data = copy.deepcopy(FULL)
    table = data
    *parents, last = path.split(".")
    for key in parents:
        table = table[int(key)] if isinstance(table, list) else table.setdefault(key, {})
    table[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("sed", 1, "sed is not a setting; did you mean 'seed'?"),
        ("source.patchsize", 16, "source.patchsize is not a setting; did you mean 'patch_size'?"),
        ("source.kind", "geotif", "source.kind is 'geotif'; known: 'synthetic', 'geotiff'"),
        ("source.scenes", [], "source.scenes"),
        ("source.scenes.1.name", "a", "two scenes are named 'a'"),
        ("source.scenes.0.files", ["x.tif"], "a scene needs either path or files"),
        ("source.mask_bad", [], "a mask needs mask_bad"),
        ("source.min_valid", 0, "source.min_valid is 0, but it should be greater than 0"),
        ("classes", ["one"], "two or more names"),
        ("classes", ["a", "skip", "mine"], "'skip' cannot be a class"),
        ("positive", "mines", "did you mean 'mine'?"),
        ("concepts.dist.layer", "site", "no layer 'site'; did you mean 'sites'?"),
        ("concepts.urban.of", "land_cver", "did you mean 'land_cover'?"),
        ("concepts.score", {"kind": "given"}, "the batch has a column of that name"),
        ("concepts.Dist", {"kind": "given"}, "concepts.Dist and dist differ in case only"),
        ("concepts.land_cover.column", "x", "either classes or column"),
        ("acquisition.weights", {"built": 2}, "acquisition.weights.built is not a yes/no concept"),
        ("acquisition.weights", {"urban": -1}, "greater than or equal to 0"),
        ("acquisition.weights", {"urban": 1e300}, "less than or equal to 1000000"),
        ("acquisition.alpha", 1.5, "alpha is 1.5, but it must be between 0 and 1"),
        ("oracle.values", {"mein": ["x"]}, "did you mean 'mine'?"),
        ("oracle.path", None, "oracle.path is missing"),
        ("loop.hours", 2, "labels_per_hour and hours go together"),
        ("seed", -1, "seed is -1, but it should be greater than or equal to 0"),
        ("seed", float("nan"), "seed is nan"),
        ("oracle.values", {"mine": [3]}, 'is 3, but it should be text; write "3", in quotes'),
        ("oracle.values", {"mine": 3}, 'it should be a list; write ["3"]'),
        ("source.bands", "red, nir", 'it should be a list; write ["red", "nir"]'),
        ("source.bands", 4, 'it should be a list; write ["4"]'),
        ("source.mask_bad", "3,8", "it should be a list; write [3, 8]"),
        ("source.mask_bad", "cloud", "source.mask_bad is 'cloud', but it should be a list"),
        ("source.scenes", "a.tif", 'write [{ name = "NAME", path = "a.tif" }]'),
        ("source.scenes", ["a.tif"], 'should be a table; write { name = "NAME", path = "a.tif" }'),
        ("layers.sites", "a.gpkg", 'should be a table; write { path = "a.gpkg" }'),
        ("source", {}, "source.kind is missing; known: 'synthetic', 'geotiff'"),
    ],
)
def test_what_makes_no_sense_is_one_line(path: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        owl_toml.parse(broken(path, value), "owl.toml")
    text = str(caught.value)
    assert said in text
    assert text.startswith("owl.toml: ")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("classes", "positive"),
    [
        (["other", "water"], "water"),
        (["absent", "present", "quarry"], "present"),  # as it was before the last one counted
        (None, "present"),
    ],
)
def test_the_class_searched_for_where_only_the_classes_are_given(
    classes: list[str] | None, positive: str
) -> None:
    tables: dict[str, object] = {"source": {"kind": "synthetic"}}
    tables |= {} if classes is None else {"classes": classes}
    assert owl_toml.parse(tables, "the test").positive == positive


SCHEMA = config.Settings.model_json_schema()


@pytest.mark.parametrize(
    ("section", "name", "value", "said"),
    [
        ("loop", "batch_size", True, "batch_size is true"),
        ("acquisition", "alpha", True, "alpha is true"),
        ("acquisition", "audit_common", False, "audit_common is false"),
        ("acquisition", "weights", {"urban": True}, "weights has true"),
        ("source", "signal", True, "signal is true"),
        ("training", "epochs", False, "epochs is false"),
    ],
)
def test_true_and_false_are_no_numbers(section: str, name: str, value: object, said: str) -> None:
    tables: dict[str, dict[str, object]] = {"source": {"kind": "synthetic"}}
    tables.setdefault(section, {})[name] = value
    with pytest.raises(ConfigError, match=f"{section}: {said}, which is not a number"):
        owl_toml.parse(tables, "the test")


def kinds_in(union: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the schema of each member of a union, by its kind."""
    members = union["discriminator"]["mapping"]
    return {kind: SCHEMA["$defs"][ref.rpartition("/")[2]] for kind, ref in members.items()}


CONCEPT_KINDS = kinds_in(SCHEMA["properties"]["concepts"]["additionalProperties"])
SOURCE_KINDS = kinds_in(SCHEMA["properties"]["source"])


def fault_in(values: dict[str, Any]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        owl_toml.parse({"source": {"kind": "synthetic"}, **values}, "owl.toml")
    return caught.value


# what pydantic puts into a place to say which member of a union it tried, and names of sections
WORDS_OF_OURS = [*CONCEPT_KINDS, *SOURCE_KINDS, "float", "loop", "concepts"]


@pytest.mark.parametrize("name", WORDS_OF_OURS)
@pytest.mark.parametrize("kind", CONCEPT_KINDS)
def test_a_concept_may_be_named_as_a_kind_in_an_error_s_place(kind: str, name: str) -> None:
    properties = CONCEPT_KINDS[kind]["properties"]
    required = CONCEPT_KINDS[kind].get("required", [])
    whole = {"kind": kind} | dict.fromkeys(required, "1")
    for field in required:
        without = {key: value for key, value in whole.items() if key != field}
        error = fault_in({"concepts": {name: without}})
        assert str(error) == f"owl.toml: concepts.{name}.{field} is missing"
    for field in set(properties) - {"kind"}:
        error = fault_in({"concepts": {name: whole | {field: [3]}}})
        assert error.settings[0].removesuffix(".0") == f"concepts.{name}.{field}"
    error = fault_in({"concepts": {name: whole | {"xyz": 1}}})
    known = ", ".join(properties)
    assert str(error) == f"owl.toml: concepts.{name}.xyz is not a setting; known: {known}"


@pytest.mark.parametrize("name", WORDS_OF_OURS)
def test_any_table_may_hold_a_name_that_is_a_word_of_ours(name: str) -> None:
    wrong = {
        f"layers.{name}.path": {"layers": {name: {"path": 3}}},
        f"acquisition.weights.{name}": {"acquisition": {"weights": {name: -1}}},
        f"oracle.values.{name}.1": {"oracle": {"values": {name: ["a", 3]}}},
        f"concepts.{name}": {"concepts": {name: 3}},
    }
    for place, values in wrong.items():
        assert fault_in(values).settings == (place,)
    told = {
        f"concepts.{name}.kind is missing": {"concepts": {name: {}}},
        f"concepts.{name}.kind is 'x'; known: ": {"concepts": {name: {"kind": "x"}}},
        f"layers.{name}.rounds is not a setting; known: path, layer": {
            "layers": {name: {"path": "a", "rounds": 1}}
        },
    }
    for line, values in told.items():
        assert str(fault_in(values)).startswith(f"owl.toml: {line}")


@pytest.mark.parametrize("kind", SOURCE_KINDS)
def test_the_kind_of_a_source_is_no_part_of_an_error_s_place(kind: str) -> None:
    properties = SOURCE_KINDS[kind]["properties"]
    whole = {"path": "a", "scenes": [{"name": "a", "path": "a"}]}
    given = {"kind": kind} | {key: whole[key] for key in whole if key in properties}
    for field in set(properties) - {"kind", "common"}:  # whose keys are words of their own
        error = fault_in({"source": given | {field: {kind: "x"}}})
        assert error.settings == (f"source.{field}",)


@pytest.mark.parametrize("setting", ["alpha", "explore"])
def test_the_type_that_was_tried_is_no_part_of_an_error_s_place(setting: str) -> None:
    assert fault_in({"acquisition": {setting: "float"}}).settings == (f"acquisition.{setting}",)


def test_files_that_are_no_settings(tmp_path) -> None:
    path = tmp_path / "owl.toml"
    with pytest.raises(ConfigError, match="does not exist"):
        owl_toml.load(path)
    path.write_text("seed = = 1")
    with pytest.raises(ConfigError, match="cannot be read as TOML"):
        owl_toml.load(path)
    for number in ("0,1", "-1,5  # labels"):
        path.write_text(f'note = "a"\naudit_share = {number}\n')
        with pytest.raises(
            ConfigError, match=r"\(at line 2, column \d+\); write decimals with a point"
        ):
            owl_toml.load(path)
    path.write_text("bands = [1,2]\nseed = ")
    with pytest.raises(ConfigError, match=r"end of document\)$"):
        owl_toml.load(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read as TOML"):
        owl_toml.load(path)
    path.write_text('version = 2\nsomething_new = 1\n[source]\nkind = "lidar"\n')
    with pytest.raises(ConfigError, match=r"made by a newer owl-geo \(layout 2"):
        owl_toml.load(path)


def test_settings_are_frozen() -> None:
    settings = owl_toml.parse(FULL, "test")
    with pytest.raises(ValueError, match="frozen"):
        settings.seed = 3


@pytest.mark.parametrize(
    ("loop", "budget"),
    [
        ({}, 10),
        ({"batch_size": 25}, 25),
        ({"labels_per_hour": 20, "hours": 2}, 40),
        ({"labels_per_hour": 7, "hours": 0.01}, 1),
    ],
)
def test_the_budget_by_number_or_by_pace(loop: dict, budget: int) -> None:
    settings = owl_toml.parse({"source": {"kind": "synthetic"}, "loop": loop}, "test")
    assert settings.loop.query_budget == budget


def test_the_written_file_is_plain_toml() -> None:
    text = owl_toml.dump(owl_toml.parse(FULL, "test"))
    assert tomllib.loads(text)["source"]["scenes"][1]["files"] == ["b1.tif", "b2.tif"]


def test_a_head_that_a_network_would_ignore_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"head 'gp' is for statistics or a frozen backbone; cnn"):
        owl_toml.parse(
            {"source": {"kind": "synthetic"}, "model": {"kind": "cnn", "head": "gp"}}, "here"
        )
    frozen = {"kind": "resnet18", "frozen": True, "head": "gp"}
    assert (
        owl_toml.parse({"source": {"kind": "synthetic"}, "model": frozen}, "here").model.head
        == "gp"
    )
