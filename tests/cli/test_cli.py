"""The command line as a user meets it: a process, what it prints, and its exit code."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from commands import every_command, one_error, owl
from rasterio.transform import from_origin
from rasters import ORIGIN, UTM, coordinates, write_raster
from searches import label

from owl_geo import Run
from owl_geo.cli import cli

SMALL = ["--n-samples", "60", "--image-size", "8", "--n-bands", "2", "--initial", "6"]


def test_the_simulated_search_prints_its_table(tmp_path) -> None:
    command = ["run", "--source", "synthetic", *SMALL, "--rounds", "2", "--batch-size", "5"]
    first = owl(*command, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    lines = first.stdout.splitlines()
    table = lines.index("Round | Labeled | Test AUC")
    rows = [[cell.strip() for cell in line.split("|")] for line in lines[table + 2 : table + 4]]
    assert [row[:2] for row in rows] == [["1", "6"], ["2", "11"]]
    assert all(re.fullmatch(r"[01]\.\d{3}", row[2]) for row in rows)
    assert re.match(r"Found \d+ present in 16 labels; fitted on all of them", lines[table + 4])

    run = tmp_path / "owl-run"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    again = owl(*command, cwd=tmp_path)
    assert again.returncode == 0
    assert again.stdout.splitlines()[1:5] == lines[table : table + 4]
    assert "is finished; nothing was changed" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before

    other = owl(*command, "--seed", "7", cwd=tmp_path)
    assert "owl-run was made with seed = 42, not 7" in one_error(other)
    fresh = owl(*command, "--seed", "7", "--overwrite", cwd=tmp_path)
    assert fresh.returncode == 0, fresh.stderr
    assert tomllib.loads((run / "owl.toml").read_text())["seed"] == 7


def test_init_query_label_ingest_status(tmp_path) -> None:
    run = tmp_path / "r"
    made = owl("init", run, "--source", "synthetic", *SMALL, "--labels-per-hour", 20, "--hours", 2)
    assert made.returncode == 0, made.stderr
    assert "60 patches of 8 x 8 pixels in EPSG:32631" in made.stdout
    assert re.search(r"land_cover: .*forest: \d+ \(", made.stdout)
    asked = owl("query", run)
    assert asked.returncode == 0, asked.stderr
    batch = Path(asked.stdout.splitlines()[-1])
    assert batch == run / "rounds" / "000" / "batch.gpkg"
    ids = Run(run).rounds()[0].patch_ids
    label(batch, {ids[0]: "present", ids[1]: "absent", ids[2]: "skip"})
    done = owl("ingest", run, batch)
    assert "1 absent, 1 present, 1 skip, 3 unanswered; 3 new, 0 known before" in done.stdout
    done = owl("ingest", run, batch)
    assert "0 new, 3 known before" in done.stdout
    now = owl("status", run).stdout
    assert re.search(r"Answers: +3 patches: (1 \w+(, )?){3}\n", now)
    assert f"Next:     owl-geo query {run}\n" in now
    again = owl("run", run)  # without an oracle: up to the next batch
    assert again.stdout.splitlines()[-1] == str(run / "rounds" / "001" / "batch.gpkg")
    assert len(Run(run).rounds()[1].patch_ids) == 40


def test_quiet_prints_results_only(tmp_path) -> None:
    run = tmp_path / "r"
    owl("init", run, "--source", "synthetic", *SMALL)
    asked = owl("query", run, "-q")
    assert asked.stdout == f"{run / 'rounds' / '000' / 'batch.gpkg'}\n"
    assert asked.stderr == ""


def test_verbose_says_more(tmp_path) -> None:
    run = tmp_path / "r"
    owl("init", run, "--source", "synthetic", *SMALL)
    assert "info: round 0: learning from 0 labels" in owl("query", run, "-v").stderr


def test_a_waiting_batch_comes_with_the_command_that_takes_it_in(tmp_path) -> None:
    run = tmp_path / "my run"
    owl("init", run, "--source", "synthetic", *SMALL)
    owl("query", run)
    line = owl("query", run).stdout.splitlines()[0]
    typed = shlex.split(line.partition("`")[2].rstrip("`"))
    assert typed == ["owl-geo", "ingest", str(run), str(run / "rounds" / "000" / "batch.gpkg")]
    assert "no answers" in owl(*typed[1:]).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["runn"], "No such command 'runn'"),
        (["run"], "either a run folder or --source synthetic"),
        (["run", "--source", "sinthetic"], "'sinthetic' is not"),
        (["run", "x", "--rounds", "3"], "--rounds goes with --source"),
        (["run", "--source", "synthetic", "--alpha", "much"], "neither a number nor ramp"),
        (["query"], "Missing argument 'RUN'"),
        (["query", "x", "--devise", "cpu"], "--device"),
        (["init", "x", "--source", "synthetic", "--scene", "a.tif"], "--scene goes with"),
        (["init", "x", "--scene", "a.tif", "--n-bands", "3"], "--n-bands goes with"),
        (["init", "x", "--source", "synthetic", "--patch-size", "16"], "--patch-size goes with"),
        (["init", "x", "--source", "synthetic", "--min-valid", "0"], "--min-valid goes with"),
        (["init", "x", "--scene", "a.tif", "--oracle-share", "0"], "--oracle-share goes with"),
        (["init", "x", "--update", "--scene", "a.tif"], "--update takes its settings from"),
        (["init", "x", "--update", "--seed", "0"], "--update takes its settings from"),
        (["init", "x", "--scene", "a.tif", "--oracle-values", "3"], "goes with --oracle"),
        (
            ["run", "--source", "synthetic", "--batch-size", "3", "--labels-per-hour", "5"],
            "give either --batch-size, or --labels-per-hour and --hours",
        ),
        (["init", "x", "--scene", "a.tif", "--mask", "m.tif", "--mask-bad", "x"], "whole numbers"),
        (["init", "s3://bucket/run", "--source", "synthetic"], "s3://bucket/run is an address"),
        (["sample", "s3://bucket/first"], "s3://bucket/first is an address"),
        (["report", "x", "--out", "gs://bucket/x.html"], "gs://bucket/x.html is an address"),
        (["ingest", "x", "https://host/batch.gpkg"], "https://host/batch.gpkg is an address"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], said: str, tmp_path) -> None:
    line = one_error(owl(*arguments, cwd=tmp_path), code=2)
    assert said in line
    assert line.endswith(("--help`", "--help-all`"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["query", "nowhere"], "make one with `owl-geo init nowhere --scene FILE`"),
        (["init", "x", "--source", "synthetic", "--n-samples", "0"], "--n-samples is 0"),
        (["init", "x", "--source", "synthetic", "--labels-per-hour", "5"], "go together"),
        (["run", "--source", "synthetic", "--alpha", "2"], "--alpha is 2, but it must be between"),
        (["run", "--source", "synthetic", "--image-size", "3"], "--image-size is 3"),
        (["init", "x", "--scene", "a.tif", "--patch-size", "0"], "--patch-size is 0"),
        (["init", "x"], "source.scenes is missing"),
        (["init", "x", "--scene", "nothing.tif"], "nothing.tif"),
        (["init", "x", "--config", "nothing.toml"], "--config nothing.toml does not exist"),
        (["init", ".", "--source", "synthetic"], "the folder you are in"),
    ],
)
def test_what_a_user_can_mend_is_exit_code_1(arguments, said: str, tmp_path) -> None:
    assert said in one_error(owl(*arguments, cwd=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_owl_geo_alone_shows_its_commands() -> None:
    done = owl()
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) > 10
    assert "error:" not in done.stderr


def test_relative_paths_start_where_they_are_written(tmp_path) -> None:
    """In a --config file beside it, in owl.toml in the run folder, wherever one stands."""
    (tmp_path / "there").mkdir()
    scene = write_raster(tmp_path / "there" / "s.tif", np.ones((1, 32, 32), dtype="uint16"))
    (tmp_path / "there" / "mine.toml").write_text(
        "[[source.scenes]]\nname = 's'\npath = 's.tif'\n[source]\npatch_size = 8\n"
        "[concepts.cover]\nkind = 'raster'\npath = 's.tif'\n"
    )
    done = owl("init", "r", "--config", "there/mine.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    toml = tmp_path / "r" / "owl.toml"
    toml.write_text(toml.read_text().replace(str(scene), "../there/s.tif"))
    assert str(tmp_path) not in toml.read_text()
    (tmp_path / "moved").mkdir()
    for folder in ("r", "there"):
        (tmp_path / folder).rename(tmp_path / "moved" / folder)
    assert owl("init", "moved/r", "--update", cwd=tmp_path).returncode == 0
    assert owl("query", "r", cwd=tmp_path / "moved").returncode == 0


def test_a_truth_may_be_a_raster_within_a_file(tmp_path) -> None:
    write_raster(tmp_path / "s.tif", coordinates(64, 64))
    write_raster(tmp_path / "t.gpkg", coordinates(64, 64, 1, "int16"), driver="GPKG")
    words = ["--scene", "s.tif", "--patch-size", "8", "--oracle", "GPKG:t.gpkg:t"]
    done = owl("init", "r", *words, "--oracle-values", "5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    toml = tomllib.loads((tmp_path / "r" / "owl.toml").read_text())
    assert toml["oracle"]["path"] == f"GPKG:{tmp_path / 't.gpkg'}:t"


def test_a_value_of_the_truth_may_have_a_comma(tmp_path) -> None:
    write_raster(tmp_path / "s.tif", coordinates(64, 64))
    place = gpd.GeoSeries.from_xy([ORIGIN[0] + 40], [ORIGIN[1] - 40], crs=UTM)
    cover = gpd.GeoDataFrame({"kind": ["sand, gravel"]}, geometry=place.buffer(40, cap_style=3))
    cover.to_file(tmp_path / "t.gpkg")
    words = ["--scene", "s.tif", "--patch-size", "8", "--oracle", "t.gpkg"]
    words += ["--oracle-column", "kind", "--oracle-values"]
    for name, values in (("a", '"sand, gravel"'), ("b", '"sand, gravel"=present')):
        done = owl("init", name, *words, values, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        toml = tomllib.loads((tmp_path / name / "owl.toml").read_text())
        assert toml["oracle"]["values"] == {"present": ["sand, gravel"]}
    cut = owl("init", "c", *words, "sand, gravel", cwd=tmp_path)
    assert cut.returncode == 1 and "no feature has kind = sand or gravel" in cut.stderr


def test_the_source_may_be_of_the_kind_that_a_config_file_names(tmp_path) -> None:
    config = "[source]\nkind = 'synthetic'\nn_samples = 40\nimage_size = 8\n"
    (tmp_path / "mine.toml").write_text(config)
    done = owl("init", "r", "--config", "mine.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "40 patches of 8 x 8 pixels" in done.stdout
    (tmp_path / "mine.toml").write_text("[source]\nkind = 'vectors'\npath = 'no.parquet'\n")
    fault = one_error(owl("init", "r2", "--config", "mine.toml", cwd=tmp_path))
    assert f"{tmp_path / 'no.parquet'} does not exist" in fault
    # an option goes before the file
    done = owl("init", "r2", "--source", "geotiff", "--config", "mine.toml", cwd=tmp_path)
    assert "source.scenes is missing" in one_error(done)
    # what goes with another kind is still refused
    done = owl("init", "r2", "--config", "mine.toml", "--time", "last", cwd=tmp_path)
    assert done.returncode == 2
    assert "--time goes with --source cube" in done.stderr


@pytest.mark.parametrize("kind", ["'vector'", "3", "[]"])
def test_a_config_file_with_a_source_of_no_kind_is_refused(kind: str, tmp_path) -> None:
    (tmp_path / "mine.toml").write_text(f"[source]\nkind = {kind}\n")
    fault = one_error(owl("init", "r", "--config", "mine.toml", cwd=tmp_path))
    assert "source.kind is" in fault
    assert "mine.toml" in fault


def test_a_layer_of_a_file_is_named_as_qgis_does(tmp_path) -> None:
    scene = write_raster(tmp_path / "s.tif", np.ones((1, 32, 32), dtype="uint16"))
    with rasterio.open(scene) as opened:
        whole, crs = shapely.box(*opened.bounds), opened.crs
    for name, use in (("woods", "forest"), ("towns", "residential")):
        layer = gpd.GeoDataFrame({"landuse": [use]}, geometry=[whole], crs=crs)
        layer.to_file(tmp_path / "map.gpkg", layer=name)
    command = ["init", "r", "--scene", "s.tif", "--patch-size", "8", "--osm"]
    assert "woods, towns; name one" in one_error(owl(*command, "map.gpkg", cwd=tmp_path))
    done = owl(*command, "map.gpkg|layername=towns", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "land_cover: urban: 16 (100.0 %)" in done.stdout


@pytest.mark.parametrize(
    ("option", "line"),
    [("--mask-bad", "no scene has a mask"), ("--mask-bands", "no scene names a mask")],
)
def test_what_is_said_of_a_mask_that_is_not_there_is_not_ignored(tmp_path, option, line) -> None:
    write_raster(tmp_path / "s.tif", np.ones((1, 32, 32), dtype="uint16"))
    done = owl("init", "r", "--scene", "s.tif", option, "3", cwd=tmp_path)
    assert line in one_error(done)
    assert not (tmp_path / "r").exists()


def test_a_scene_that_was_replaced_is_noticed(tmp_path) -> None:
    path = write_raster(tmp_path / "s.tif", np.ones((1, 32, 32), dtype="uint16"))
    assert owl("init", "r", "--scene", path, "--patch-size", "8", cwd=tmp_path).returncode == 0
    elsewhere = rasterio.Affine(10, 0, 0, 0, -10, 0)
    write_raster(path, np.ones((1, 32, 32), dtype="uint16"), transform=elsewhere)
    assert "scene 's' was replaced" in one_error(owl("query", "r", cwd=tmp_path))


def east(number: int) -> rasterio.Affine:
    """The grid of the tile that lies so many kilometres east of the first."""
    return from_origin(ORIGIN[0] + 1000 * number, ORIGIN[1], 10, 10)


@pytest.fixture
def tiles(tmp_path) -> Path:
    """Two scenes of one name, and one that is no image."""
    for number, folder in enumerate(("x", "y")):
        write_raster(tmp_path / "t" / folder / "B.tif", coordinates(32, 32), transform=east(number))
    (tmp_path / "t" / "text.tif").write_text("no image")
    return tmp_path


MANY = ["--scene", "t/**/*.tif", "--patch-size", "8"]


def test_many_scenes_as_a_batch_job(tiles) -> None:
    assert "text.tif" in one_error(owl("init", "r", *MANY, cwd=tiles))
    made = owl("init", "r", *MANY, "--on-error", "skip", cwd=tiles)
    assert made.returncode == 3, made.stderr
    lines = made.stdout.splitlines()
    assert "Scenes: 2 done, 0 skipped, 1 failed" in lines
    assert lines[-1] == "Next: owl-geo query r"
    (failed,) = made.stderr.splitlines()
    assert re.match(r"warning: failed: text: cannot open .*text\.tif", failed)
    write_raster(tiles / "t" / "z" / "B.tif", coordinates(32, 32), transform=east(2))
    more = owl("add", "r", "--scene", "t/**/*.tif", "--on-error", "skip", cwd=tiles)
    assert more.returncode == 3
    assert "r: 16 new patches, 48 in all" in more.stdout
    assert "Scenes: 1 done, 2 skipped, 1 failed" in more.stdout
    names = [scene.name for scene in Run(tiles / "r").settings.source.scenes]
    assert names == ["x_B", "y_B", "B"]
    (tiles / "t" / "text.tif").unlink()
    again = owl("add", "r", "--scene", "t/**/*.tif", cwd=tiles)
    assert again.returncode == 0, again.stderr
    assert "r: nothing new, 48 patches" in again.stdout
    assert "Scenes: 0 done, 3 skipped, 0 failed" in again.stdout
    assert owl("query", "r", "-q", cwd=tiles).returncode == 0


def test_a_command_where_all_scenes_fail_fails(tiles) -> None:
    command = ["--scene", "t/text.tif", "--on-error", "skip"]
    assert "cannot open" in one_error(owl("init", "r", *command, cwd=tiles))
    assert "give --scene" in one_error(owl("add", "r", cwd=tiles), code=2)


def test_masks_that_go_with_no_scene_are_refused(tmp_path) -> None:
    done = owl("init", "r", "--mask", "m.tif", "--mask-bad", "1", cwd=tmp_path)
    assert "--mask goes with --scene" in one_error(done, code=2)


def test_a_thousand_scenes_are_no_thousand_lines(tmp_path) -> None:
    for number in range(22):
        write_raster(tmp_path / f"{number:02}.tif", np.ones((1, 8, 8), dtype="uint16"))
    made = owl("init", "r", "--scene", "*.tif", "--patch-size", "8", "-v", cwd=tmp_path)
    assert "  and 2 more; -v lists them all" in made.stdout.splitlines()
    seen = re.findall(
        r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info: scene (\d+): 1 patch, [\d.]+ s$",
        made.stderr,
        flags=re.MULTILINE,
    )
    assert seen == [f"{number:02}" for number in range(22)]


def records(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The log as objects, each with what every one has."""
    found = [json.loads(line) for line in done.stderr.splitlines()]
    for one in found:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"])
        assert {"level", "logger", "message"} < set(one)
    return found


def test_logs_as_json(tiles) -> None:
    made = owl("init", "r", *MANY, "--on-error", "skip", "-v", "--log-json", cwd=tiles)
    assert made.returncode == 3
    log = records(made)
    assert "scene x_B: 16 patches, " in log[0]["message"]
    assert log[0]["level"] == "info"
    progress = [one for one in log if "work" in one]
    assert ("Tiling", 32, 32) in [(one["work"], one["done"], one["total"]) for one in progress]
    assert log[-2]["message"].startswith("failed: text: cannot open")
    assert (log[-1]["exit_code"], log[-1]["level"]) == (3, "warning")
    (error,) = records(owl("init", "r", *MANY, "--log-json", cwd=tiles))[-1:]
    assert (error["level"], error["exit_code"]) == ("error", 1)
    assert "error:" not in error["message"]
    (usage,) = records(owl("query", "--log-json", "--nonsense", "r", cwd=tiles))
    assert (usage["exit_code"], usage["level"]) == (2, "error")
    quiet = owl("query", "r", "-q", "--log-json", cwd=tiles)
    assert quiet.stderr == ""
    assert len(quiet.stdout.splitlines()) == 1


def test_a_defect_as_json_keeps_its_traceback(tmp_path) -> None:
    owl("init", "r", "--source", "synthetic", *SMALL, cwd=tmp_path)
    code = (
        "import owl_geo.verbs.status, owl_geo.cli\n"
        "def broken(run): raise ZeroDivisionError('oh')\n"
        "owl_geo.verbs.status.status = broken\n"
        "owl_geo.cli.main(['status', 'r', '--log-json'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 1
    (one,) = records(done)
    assert one["level"] == "critical"
    assert "in broken" in one["traceback"]


def test_debug_shows_the_traceback(tmp_path) -> None:
    done = owl("query", "nowhere", "--debug", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_config_file_with_own_concepts(tmp_path) -> None:
    (tmp_path / "mine.toml").write_text(
        "[concepts.far]\nkind = 'above'\nof = 'dist_industrial'\nvalue = 0.5\n"
        "[concepts.dist_industrial]\nkind = 'given'\n[loop]\nbatch_size = 3\ninitial = 9\n"
    )
    done = owl("init", "r", "--source", "synthetic", *SMALL, "--config", "mine.toml", cwd=tmp_path)
    assert "no concept 'dist_industrial' above it" in one_error(done)  # order matters, and is said
    text = (tmp_path / "mine.toml").read_text().splitlines()
    (tmp_path / "mine.toml").write_text("\n".join([*text[4:6], *text[:4], *text[6:]]))
    done = owl("init", "r", "--source", "synthetic", *SMALL, "--config", "mine.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    settings = Run(tmp_path / "r").settings
    assert settings.loop.batch_size == 3
    assert settings.loop.initial == 6  # the option wins over the file
    assert "far" in Run(tmp_path / "r").index.concepts


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help_with_an_example(name: str) -> None:
    done = owl(name, "--help")
    assert done.returncode == 0
    assert f"Example: owl-geo {name}" in done.stdout
    undocumented = [
        parameter.name
        for parameter in cli.commands[name].params
        if isinstance(parameter, click.Option) and not parameter.help
    ]
    assert undocumented == []


def test_help_writes_all_defaults_in_one_form() -> None:
    """A value and words alike, in one pair of brackets with the range: [default: 0.5; 0<x<=1]."""
    for command in every_command(cli):
        with click.Context(command) as context:
            records = [parameter.get_help_record(context) for parameter in command.params]
        for names, text in filter(None, records):
            brackets = re.findall(r"  (\[.*?\])", text)
            assert all(re.match(r"\[default: [^(]|\[\S*x\S*\]", one) for one in brackets), names
            assert len(brackets) <= 1, names


@pytest.mark.parametrize("module", ["owl_geo", "owl_geo.cli"])
def test_help_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(re.findall(r"'(\w+)'", done.stdout))
    assert not loaded & {"torch", "rasterio", "geopandas", "pandas", "numpy", "sklearn", "pydantic"}


@pytest.mark.parametrize(
    "module",
    ["owl_geo.verbs.status", "owl_geo.verbs.ingest", "owl_geo.verbs.init", "owl_geo.verbs.predict"],
)
def test_only_learning_loads_what_learns(module: str) -> None:
    """Making a run, answering it and asking how it stands should take no seconds to begin."""
    code = f"import sys, {module}; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(re.findall(r"'(\w+)'", done.stdout))
    assert not loaded & {"torch", "torchvision", "sklearn", "matplotlib"}


LIST_MODULES_AT_EXIT = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from owl_geo.cli import main
main(sys.argv[1:])
"""


def loaded_by(*command: object, exit_code: int = 0) -> set[str]:
    """Return the packages that a command has imported when its process ends."""
    words = [sys.executable, "-c", LIST_MODULES_AT_EXIT, *map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == exit_code, done.stderr
    return {name.partition(".")[0] for name in done.stderr.splitlines()[-1].split()}


def test_a_mistake_in_the_options_is_told_before_pandas_is_loaded(tmp_path) -> None:
    """It takes longer to load than the command line takes to check."""
    for command, exit_code in (
        (("init", tmp_path / "r", "--scene", "s.tif", "--patch-size", 0), 1),
        (("init", tmp_path / "r", "--source", "synthetic", "--scene", "s.tif"), 2),
        (("init", tmp_path / "r", "--update", "--patch-size", 8), 2),
        (("run", "--source", "synthetic", "--n-samples", 0), 1),
    ):
        loaded = loaded_by(*command, exit_code=exit_code)
        assert not loaded & {"pandas", "geopandas", "shapely", "sklearn"}, command


def test_commands_on_a_batch_that_waits_load_nothing_that_learns(tmp_path) -> None:
    run, batch = tmp_path / "r", tmp_path / "r" / "rounds" / "000" / "batch.gpkg"
    learns = {"torch", "torchvision", "sklearn", "matplotlib"}
    owl("init", run, "--source", "synthetic", *SMALL)
    assert "sklearn" in loaded_by("query", run)
    for command in ("query", "run", "status"):
        assert not loaded_by(command, run) & learns, command
    label(batch, {Run(run).rounds()[0].patch_ids[0]: "present"})
    # the answer is in the file and not yet in the run, so the batch still waits
    assert not loaded_by("query", run) & learns
    assert not loaded_by("ingest", run, batch) & learns


def test_a_report_of_finished_maps_loads_nothing_that_learns(tmp_path) -> None:
    run = tmp_path / "r"
    short = ["--rounds", "1", "--batch-size", "5"]
    assert owl("run", "--source", "synthetic", *SMALL, *short, "--out", run).returncode == 0
    assert "sklearn" in loaded_by("report", run)  # it asks the model itself
    mapped = owl("predict", run, "-v")
    assert mapped.returncode == 0
    assert re.search(r" info: scene \w+: \d+ patches, \d+\.\d s\n", mapped.stderr)
    assert not loaded_by("report", run) & {"torch", "torchvision", "sklearn"}


def test_the_python_names_resolve() -> None:
    code = "import owl_geo; print([getattr(owl_geo, n).__name__ for n in owl_geo.__all__])"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
