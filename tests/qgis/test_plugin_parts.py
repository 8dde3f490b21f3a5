"""The plugin's parts that need neither a map nor a file."""

import pytest
from owl_geo_labeler import settings
from owl_geo_labeler.band_names import (
    band_files,
    false_colours,
    is_old_landsat,
    natural_colours,
)
from owl_geo_labeler.colouring import FALSE, PLAIN, redraw
from owl_geo_labeler.core import error_line, progress_line
from owl_geo_labeler.errors import Problem
from owl_geo_labeler.pace import Pace
from owl_geo_labeler.panels import key_of
from owl_geo_labeler.scene import named_scene
from owl_geo_labeler.run_folder import RunFolder, SceneEntry
from owl_geo_labeler.session import Patch, Session
from owl_geo_labeler.surroundings import Surroundings
from owl_geo_labeler.toml_lines import parse_lines
from owl_geo_labeler.why import why_html, why_lines

TOML = r'''
version = 1 # layout
classes = ["absent", "it's # one"] # the answers
positive = "a \"quoted\" word"

[source]
kind = "geotiff"
bands = []
mask_bad = [3, 8]
min_valid = 0.9

[[source.scenes]]
name = "one"
path = 'C:\data\one.tif' # a raster

[[source.scenes]]
name = "two"
files = ["/a/b2.tif", "/a/b3.tif"]

[concepts."near water"]
kind = "distance"
where = ["natural=water"]

[concepts.land_cover.classes]
urban = ["landuse=residential|industrial"]
'''


def test_the_line_reader_agrees_with_tomllib():
    tomllib = pytest.importorskip("tomllib")
    assert parse_lines(TOML) == tomllib.loads(TOML)


@pytest.mark.parametrize("text", ["classes = [\n'a',\n]", "no setting"])
def test_the_line_reader_refuses_what_it_cannot_read(text):
    with pytest.raises(ValueError, match="line 1"):
        parse_lines(text)


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["B2", "B3", "B4", "B8"], (2, 1, 0)),
        (["ndvi", "B02", "B03", "B04"], (3, 2, 1)),
        (["nir", "red", "green", "blue"], (1, 2, 3)),
        (["Band 1", "Band 2", "Band 3"], (0, 1, 2)),
        (["Band 1", "Band 2", "Band 3", "Band 4", "Band 5", "Band 6"], (2, 1, 0)),
        (["LC08_B1", "LC08_B2", "LC08_B3", "LC08_B4"], (3, 2, 1)),
        (["T31UGS_B02_10m", "T31UGS_B03_10m", "T31UGS_B04_10m"], (2, 1, 0)),
        (["B1", "B2"], None),
    ],
    ids=str,
)
def test_natural_colours(names, places):
    assert natural_colours(names) == places


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["B2", "B3", "B4", "B8"], (3, 2, 1)),
        (["B2", "B3", "B4", "B5", "B8", "B8A", "B12"], (4, 2, 1)),
        (["B02", "B03", "B04", "B05", "B8A"], (4, 2, 1)),
        (["SR_B2", "SR_B3", "SR_B4", "SR_B5"], (3, 2, 1)),
        (["LC08_B3", "LC08_B4", "LC08_B5", "LC08_B8"], (2, 1, 0)),
        (["T31UGS_B02_10m", "T31UGS_B03_10m", "T31UGS_B04_10m", "T31UGS_B08_10m"], (3, 2, 1)),
        (["blue", "green", "red", "nir"], (3, 2, 1)),
        (["Red", "Green", "Short Wave Infrared", "Near Infrared"], (3, 0, 1)),
        (["red edge", "green", "red", "NIR"], (3, 2, 1)),
        (["red", "green", "blue"], None),
        (["Band 1", "Band 2", "Band 3", "Band 4"], None),
    ],
    ids=str,
)
def test_false_colours(names, places):
    assert false_colours(names) == places


def test_old_landsats_count_from_blue(tmp_path):
    assert false_colours(["LE07_B2", "LE07_B3", "LE07_B4", "LE07_B5"], True) == (2, 1, 0)
    assert natural_colours(["LE07_B1", "LE07_B2", "LE07_B3", "LE07_B4"], True) == (2, 1, 0)
    (tmp_path / "LE07_MTL.txt").write_text('    SENSOR_ID = "ETM"\n')
    assert is_old_landsat(tmp_path)


def test_of_a_sentinel_2_product_the_finest_bands(tmp_path):
    images = tmp_path / "GRANULE" / "L2A" / "IMG_DATA"
    for metres in (10, 20, 60):
        for band in ("B02", "B04"):
            path = images / f"R{metres}m" / f"T31_{band}_{metres}m.jp2"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    assert [path.name for path in band_files(tmp_path)] == ["T31_B02_10m.jp2", "T31_B04_10m.jp2"]


def test_a_scene_of_files_keeps_its_nodata(folder):
    files = sorted((folder / "scenes" / "west").glob("*.tif"))
    layer = named_scene(SceneEntry("west", tuple(files)), 0).layer
    assert layer.isValid() and layer.bandCount() == 4
    assert layer.width() == layer.height() == 96
    assert bands(layer) == [1, 2, 3]
    redraw(layer, FALSE, 0)
    assert bands(layer) == [4, 1, 2]


def bands(layer):
    renderer = layer.renderer()
    return [renderer.redBand(), renderer.greenBand(), renderer.blueBand()]


def test_bands_that_the_user_chose_stay(folder):
    layer = named_scene(SceneEntry("east", (folder / "scenes" / "east.tif",)), 0).layer
    layer.renderer().setRedBand(1)
    layer.renderer().setBlueBand(3)
    for way in (FALSE, PLAIN):
        redraw(layer, way, 0)
        assert bands(layer) == [1, 2, 3]


def test_without_near_infrared_the_colours_stay(folder):
    files = sorted((folder / "scenes" / "west").glob("*B0[234].tif"))
    loaded = named_scene(SceneEntry("west", tuple(files)), 0)
    redraw(loaded.layer, FALSE, 0)
    assert bands(loaded.layer) == [1, 2, 3]
    assert "nothing says which band of west is near infrared" in loaded.why_not_false


@pytest.mark.parametrize(
    ("size", "across", "steps", "now"),
    [
        (8, None, [16, 24, 32], 150),  # of the smallest patches too, a neighbourhood
        (32, None, [48, 64, 100], 150),
        (256, None, [450, 700, 1000], 450),
        (8, 40.0, [16, 24, 32], 32),
        (9000, None, [18000, 36000], 18000),
    ],
)
def test_how_much_is_shown_around_a_patch(size, across, steps, now):
    surroundings = Surroundings(size, across)
    assert list(surroundings.steps[: len(steps)]) == steps
    assert surroundings.across == now
    assert surroundings.times == now / size
    assert surroundings.times >= 1.25
    assert not surroundings.go_to(-1) and not surroundings.go_to(len(surroundings.steps))
    assert surroundings.go_to(0) and surroundings.across == steps[0]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_pace_leaves_pauses_out():
    clock = Clock()
    pace = Pace(clock)
    for seconds in (10, 10, 3000, 10, 10):
        clock.now += seconds
        pace.count()
    assert pace.per_hour() == 360
    assert pace.seconds_left(18) == 180
    pace.uncount()
    pace.uncount()
    assert pace.per_hour() is None


def patches(n):
    return [
        Patch(i, f"s/{i}/0", i + 1, "s", "EPSG:32631", {"uncertainty": i / 10, "probability": 0.25})
        for i in range(n)
    ]


def test_a_session_walks_by_rank_whatever_the_files_order():
    session = Session(list(reversed(patches(5))), ("a", "b"), "Ada")
    assert [patch.rank for patch in session.patches] == [1, 2, 3, 4, 5]
    assert not session.move(-1)
    session.answer("b")
    assert session.move_to_unanswered(-1)
    assert session.patch.rank == 5
    with pytest.raises(ValueError, match="is not a label of this batch"):
        session.answer("c")


def test_a_patch_is_found_by_rank_id_or_the_end_of_its_id():
    session = Session(patches(3), ("a", "b"), "Ada")
    for text, index in (("2", 1), (" 1 ", 0), ("s/2/0", 2), ("/1/0", 1), ("4", None), ("0", None)):
        assert session.find(text) == index
    for text in ("", "²", "1²", "-1"):
        assert session.find(text) is None


def test_a_new_answer_ends_what_can_be_redone():
    session = Session(patches(3), ("a", "b"), "Ada")
    session.answer("a")
    session.undo()
    session.answer("b")
    assert session.redo() is None
    assert session.counts() == {"a": 0, "b": 1, "unsure": 0, "skip": 0}


def test_a_comment_changed_later_is_a_newer_answer():
    times = iter(["first", "second"])
    session = Session(patches(1), ("a", "b"), "Ada", utc_now=lambda: next(times))
    assert session.comment("  ") is None
    session.answer("a")
    session.comment("cloudy")
    assert session.patch.answer.labelled_at == "second"
    session.undo()
    assert session.patch.answer.labelled_at == "first"
    assert session.patch.answer.comment is None


def test_why_tells_nothing_of_what_was_drawn_at_random():
    batch = patches(5)
    for patch in batch:
        patch.why = {**patch.why, "score": patch.rank / 10, "relevance": 1.0 / patch.rank}
    for patch in batch:
        lines = dict(why_lines(patch, len(batch), "mine"))
        assert lines["Rank"] == f"{patch.rank} of 5"
        assert lines["Relevance"] == f"{1 / patch.rank:.3g}"
        assert "score" not in " ".join(lines).lower()
        assert "batch" not in " ".join(lines.values())


def test_why_escapes():
    batch = patches(5)
    batch[2].why = {**batch[2].why, "near_<b>": True, "dist": 1234.0, "share": None}
    lines = dict(why_lines(batch[2], len(batch), "mine", ["dist"]))
    assert lines["The model"] == "25 % likely to be mine"
    assert lines["Uncertainty"] == "0.2"
    assert lines["dist"] == "1.2 km"
    assert lines["share"] == "not known"
    assert lines["near <b>"] == "yes"
    assert "near &lt;b&gt;" in why_html(list(lines.items()))
    titles = {"dist": "Distance (m)", "share": "Share (0 to 1)"}
    titled = dict(why_lines(batch[2], len(batch), "mine", (), titles))
    assert (titled["Distance"], titled["Share (0 to 1)"]) == ("1.2 km", "not known")


def test_keys_of_the_labels():
    classes = tuple(f"c{i}" for i in range(11))
    assert [key_of(label, classes) for label in (*classes, "unsure", "skip")] == [
        *"123456789",
        *("", "", "U", "S"),
    ]


def test_the_cores_error_line_is_found():
    assert error_line("owl-geo", "warning: a\nerror: b is wrong\n", 1) == "b is wrong"
    assert "failed: KeyError: 'x';" in error_line("owl-geo", "Traceback\nKeyError: 'x'\n", 1)
    assert "exit code 9" in error_line("owl-geo", "", 9)


def test_the_last_whole_line_of_progress_is_found():
    last = "Scoring: 2,000 of 10,000 (20 %), about 10 s left"
    assert progress_line(f"warning: a: b\n{last}\nNext: label it\nScoring: 3") == last
    assert progress_line("Cross-validation: 1 of 5 (20 %)\n") == "Cross-validation: 1 of 5 (20 %)"
    assert progress_line("warning: scene: 3 of 4 are dark\n") == ""


@pytest.fixture
def environment(tmp_path):
    """A folder of a virtual environment with an owl-geo, and one file that is no program."""
    for name in ("bin/owl-geo", "bin/notes.txt"):
        path = tmp_path / "environment" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755 if name.endswith("geo") else 0o644)
    return tmp_path / "environment"


@pytest.mark.parametrize("text", ["", "bin", "bin/owl-geo"])
def test_a_program_or_a_folder_that_holds_it(environment, text):
    assert settings.program_at(str(environment / text)) == str(environment / "bin" / "owl-geo")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("..", "is a folder without owl-geo"),
        ("bin/notes.txt", "is not a program"),
        ("bin/owl", "does not exist"),
    ],
)
def test_what_is_no_program_is_said(environment, text, says):
    with pytest.raises(Problem, match=says):
        settings.program_at(str(environment / text))


def test_a_program_on_the_path(environment, monkeypatch):
    monkeypatch.setenv("PATH", str(environment / "bin"))
    assert settings.program_at("owl-geo") == str(environment / "bin" / "owl-geo")


def test_which_program_is_started(environment, tmp_path, monkeypatch):
    found = settings.PluginSettings()
    on_path = tmp_path / "elsewhere" / "owl-geo"
    on_path.parent.mkdir()
    on_path.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(on_path.parent))
    told = tmp_path / "program.txt"
    monkeypatch.setattr(settings, "_INSTALLED", told)
    monkeypatch.setattr(settings.PluginSettings, "chosen_executable", "")
    assert found.executable == str(on_path)
    told.write_text(f"{tmp_path / 'gone' / 'owl-geo'}\n")
    assert found.executable == str(on_path)
    told.write_text(f"{environment / 'bin' / 'owl-geo'}\n")
    assert found.executable == str(environment / "bin" / "owl-geo")
    monkeypatch.setattr(settings.PluginSettings, "chosen_executable", str(on_path))
    assert found.executable == str(on_path)
    monkeypatch.setattr(settings.PluginSettings, "chosen_executable", str(tmp_path))
    assert found.executable == str(environment / "bin" / "owl-geo")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TOML, ["C:\\data\\one.tif"]),
        ('[source]\nkind = "cube"\nname = "one"\npath = "/d/one.nc"\n', ["/d/one.nc"]),
        ('[source]\nkind = "cube"\nname = "other"\npath = "/d/one.nc"\n', None),
        ('[source]\nkind = "synthetic"\n', None),
    ],
)
def test_where_a_scene_lies(tmp_path, text, expected):
    (tmp_path / "owl.toml").write_text(text, encoding="utf-8")
    entry = RunFolder(tmp_path).scene("one")
    found = None if entry is None else [str(path) for path in entry.paths]
    assert found == expected or found == [str(tmp_path / path) for path in expected or []]


def test_the_batches_of_the_newest_round_come_first(tmp_path):
    (tmp_path / "owl.toml").touch()
    for number in ("009", "100", "999", "1000", "1001"):
        for name in ("batch-ben", "batch-ana"):
            path = tmp_path / "rounds" / number / f"{name}.gpkg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    run = RunFolder(tmp_path)
    assert [path.parent.name for path in run.batches()[::2]] == ["1001", "1000", "999", "100", "009"]
    assert [path.stem for path in run.newest()] == ["batch-ana", "batch-ben"]


@pytest.mark.parametrize("address", ["postgresql://[::1/db", "Postgres://h:port/db"])
def test_a_store_at_an_address_that_is_none_is_said(tmp_path, address):
    settings = tmp_path / "owl.toml"
    settings.write_text(f'labels = "{address}"\n')
    with pytest.raises(Problem, match="is not the address of a batch"):
        RunFolder(tmp_path).store()
    settings.write_text('labels = "postgres"\n')
    assert RunFolder(tmp_path).store() is None


@pytest.mark.parametrize(
    ("kind", "has_some"),
    [
        ("geotiff", True),
        ("cube", True),
        ("synthetic", False),
        ("vectors", False),
        ("arrays", False),
    ],
)
def test_which_runs_have_imagery_to_show(tmp_path, kind, has_some):
    (tmp_path / "owl.toml").write_text(f'[source]\nkind = "{kind}"\n', encoding="utf-8")
    assert RunFolder(tmp_path).has_imagery() is has_some
