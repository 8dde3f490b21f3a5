"""Small things that make the first hour easy: help that fits, completion, progress, paths."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path, PureWindowsPath

import click
import pytest
from commands import one_error, owl
from searches import label, make

import owl_geo
from owl_geo.cli import cli, logs
from owl_geo.cli import options as opt
from owl_geo.cli.init_settings import layer_of
from owl_geo.errors import ConfigError
from owl_geo.settings import owl_toml
from owl_geo.settings.paths import is_local
from owl_geo.sources.scene_words import find_scenes
from owl_geo.wording import as_typed
from owl_geo.work.progress import Progress

PATHS = (r"C:\data\new scenes\S2.tif", r"D:\x.tif", r"\\server\share\übung\S2.tif")


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_fits_a_screen(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "owl_geo", name, "--help"],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "80"},
        check=True,
    )
    assert len(done.stdout.splitlines()) <= 40


def test_all_help_has_every_option_and_help_only_the_usual_ones() -> None:
    short, whole = owl("init", "--help").stdout, owl("init", "--help-all").stdout
    flags = {
        flag
        for one in cli.commands["init"].params
        if isinstance(one, click.Option)
        for flag in one.opts
        if flag.startswith("--")
    }
    assert flags <= set(re.findall(r"--[a-z-]+", whole))
    assert "Advanced options:" in whole
    assert "--osm" in short
    assert "--help-all" in short
    assert "--min-valid" not in short
    assert "--min-valid" in whole.split("Advanced options:")[1]


def test_a_command_with_few_options_shows_all() -> None:
    text = owl("query", "--help").stdout
    assert "--help-all" not in text
    assert "--cluster" in text
    assert "--debug" in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_this_program(shell: str) -> None:
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("no bash")
    done = owl("completion", shell)
    assert done.returncode == 0, done.stderr
    assert f"_OWL_GEO_COMPLETE={shell}_complete" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("# ")


def test_what_the_script_asks_is_answered() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "owl_geo"],
        capture_output=True,
        text=True,
        env=os.environ
        | {"_OWL_GEO_COMPLETE": "bash_complete", "COMP_WORDS": "owl-geo in", "COMP_CWORD": "1"},
        check=True,
    )
    assert {line.split(",")[-1] for line in done.stdout.split()} == {"init", "ingest"} & {
        name for name in cli.commands if name.startswith("in")
    }


def test_a_shell_without_completion_is_wrong_usage() -> None:
    assert "'bash', 'zsh', 'fish'" in one_error(owl("completion", "cmd"), code=2)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("owl_geo.cli.logs.time.monotonic", lambda: now[0])
    return now


def test_lines_of_progress_begin_after_two_seconds_and_say_what_is_left(clock, capsys) -> None:
    update = logs.lines("Scoring", as_json=False, timed=False)
    for seconds, done in ((1.0, 5), (2.5, 20), (4.0, 30), (13.0, 60)):
        clock[0] = 100.0 + seconds
        update(done, 100)
    assert capsys.readouterr().err.splitlines() == [
        "Scoring: 20 of 100 (20 %)",
        "Scoring: 60 of 100 (60 %), about 9 s left",
    ]


def test_quick_work_says_nothing(clock, capsys) -> None:
    update = logs.lines("Scoring", as_json=False, timed=False)
    for done in range(101):
        clock[0] += 0.015
        update(done, 100)
    assert capsys.readouterr().err == ""


def test_work_in_one_piece_says_nothing_when_it_is_done(clock, capsys) -> None:
    update = logs.lines("Predicting", as_json=False, timed=False)
    clock[0] += 5
    update(10, 10)
    assert capsys.readouterr().err == ""


def test_a_bar_is_drawn_for_slow_work_alone(monkeypatch, capsys) -> None:
    now = [100.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    for seconds, shown in ((0.01, False), (0.1, True)):
        update = opt._bar("Scoring")
        for done in range(101):
            now[0] += seconds
            update(done, 100)
        assert ("Scoring" in capsys.readouterr().err) is shown


def test_each_piece_of_a_round_tells_how_far_it_is(tmp_path: Path) -> None:
    told: dict[str, list[tuple[int, int]]] = {}

    def report(work: str) -> Progress:
        calls = told.setdefault(work, [])
        return lambda done, total: calls.append((done, total))

    uncertainty = {"members": "ensemble", "ensemble_size": 2}
    run = make(
        tmp_path / "run",
        model={"kind": "cnn"},
        training={"epochs": 3},
        uncertainty=uncertainty,
        loop={"initial": 40},
    )
    first = owl_geo.query(run, report=report)
    said = {patch: "absent" if i % 3 else "present" for i, patch in enumerate(first.patch_ids)}
    label(run.batch_path(0), said)
    owl_geo.ingest(run, [run.batch_path(0)], annotator="ana")
    owl_geo.query(run, report=report)
    assert told["Learning"] == [(step, 6) for step in range(1, 7)]  # epochs of both networks
    assert told["Features"][-1] == (80, 80)
    assert told["Scoring"][-1] == (40, 40)
    assert told["Cross-validation"] == [(fold, 5) for fold in range(1, 6)]


def test_json_has_the_time_left(clock, capsys) -> None:
    update = logs.lines("Scoring", as_json=True, timed=False)
    clock[0] += 3
    update(30, 120)
    update(120, 120)
    first, last = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first["seconds_left"] == 9.0
    assert "seconds_left" not in last


def test_durations_are_for_people() -> None:
    assert [logs.duration(s) for s in (0.4, 99, 150, 5400)] == ["0 s", "99 s", "2 min", "90 min"]
    assert logs.duration(9000) == "2.5 h"


def test_nothing_is_coloured(tmp_path: Path) -> None:
    """NO_COLOR has nothing to turn off, even where a library would be told to colour."""
    for words in (["--help"], ["init", "--help-all"], ["query", "nowhere"]):
        done = subprocess.run(
            [sys.executable, "-m", "owl_geo", *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"FORCE_COLOR": "1"},
            check=False,
        )
        assert "\x1b[" not in done.stdout + done.stderr


# --- paths of Windows, as far as they can be tried elsewhere --------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_owl_toml_keeps_windows_paths(path: str) -> None:
    values = {
        "source": {"kind": "geotiff", "scenes": [{"name": "S2", "path": path}]},
        "layers": {"osm": {"path": path.replace(".tif", ".osm.pbf")}},
    }
    settings = owl_toml.parse(values, "test")
    text = owl_toml.dump(settings)
    assert owl_toml.parse_text(text, "test") == settings
    assert tomllib.loads(text)["source"]["scenes"][0]["path"] == path
    assert is_local(path)


@pytest.mark.parametrize("path", PATHS)
def test_words_of_the_command_line_may_be_windows_paths(path: str) -> None:
    assert layer_of(f"{path}|layername=sites") == (path, "sites")
    (scene,) = find_scenes([f"mine={path}"]).scenes
    assert scene.name == "mine"
    assert scene.path is not None
    assert scene.path.endswith(path)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (r"C:\data\my run", r'"C:\data\my run"'),
        (r"C:\data\run", r"C:\data\run"),
        (r"\\server\my share\run", r'"\\server\my share\run"'),
    ],
)
def test_commands_are_printed_as_windows_takes_them(path: str, shown: str, monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert as_typed(PureWindowsPath(path)) == shown


@pytest.mark.parametrize("path", [r"C:\data\s.tif", r"C:\Users\me\s.tif", r"C:\xfiles\s.tif"])
def test_a_backslash_in_double_quotes_is_explained(path: str, tmp_path: Path) -> None:
    (tmp_path / "owl.toml").write_text(f'[[source.scenes]]\nname = "s"\npath = "{path}"\n')
    with pytest.raises(ConfigError, match="write paths with / or in single quotes"):
        owl_toml.load(tmp_path / "owl.toml")


def test_a_backslash_that_toml_reads_otherwise_is_explained(tmp_path: Path) -> None:
    """In double quotes, \\n and \\t of C:\\new\\tiles are a new line and a tab."""
    text = (
        '[[source.scenes]]\nname = "s"\npath = "C:\\new\\tiles.tif"\n[source]\nkind = "geotiff"\n'
    )
    (tmp_path / "owl.toml").write_text(text)
    with pytest.raises(ConfigError, match="write paths with / or in single quotes"):
        owl_toml.load(tmp_path / "owl.toml")


def test_a_folder_that_holds_runs_names_them(tmp_path: Path) -> None:
    for name in ("search", "other"):
        make(tmp_path / "first" / name)
    error = one_error(owl("query", "first", cwd=tmp_path))
    assert (
        "no run folder at first, but there are some in it; did you mean 'first/other' or "
        "'first/search'?" in error
    )


def test_answers_that_were_not_taken_in_are_told_of(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    first = owl_geo.query(run)
    assert "has no answers yet" in owl("query", "run", cwd=tmp_path).stdout
    label(run.batch_path(0), dict.fromkeys(first.patch_ids[:4], "absent"))
    ingest = "owl-geo ingest run run/rounds/000/batch.gpkg"
    assert (
        f"has 4 answers that are not ingested yet: {ingest}\n"
        in owl(*("query", "run"), cwd=tmp_path).stdout
    )
    assert f"ingest what has been labelled: {ingest}\n" in owl("status", "run", cwd=tmp_path).stdout


def test_what_annotators_should_not_see_is_not_in_what_python_shows_of_a_round(tmp_path) -> None:
    run = make(tmp_path / "run", acquisition={"audit_share": 0.5})
    first = owl_geo.query(run)
    assert first.audit
    assert "audit" not in repr(first) and "watched" not in repr(first)


@pytest.mark.parametrize("option", ["--scene", "--osm", "--oracle", "--mask", "--aoi", "--weights"])
def test_names_of_files_are_completed_where_a_path_is_wanted(option: str) -> None:
    assert completed(f"owl-geo init RUN {option} sc") == ["file,sc"]


def test_strategies_are_completed() -> None:
    assert completed("owl-geo init RUN --strategy gr") == ["plain,greedy"]


def completed(line: str) -> list[str]:
    """What a shell is told when Tab is pressed at the end of a line."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "owl_geo"],
        capture_output=True,
        text=True,
        env=os.environ | {"_OWL_GEO_COMPLETE": "bash_complete"} | words,
        check=True,
    )
    return done.stdout.split()


def test_commands_are_named_in_the_order_of_a_search() -> None:
    listed = owl("--help").stdout.partition("Commands:")[2]
    named = re.findall(r"^  (\w+)", listed, flags=re.MULTILINE)
    first = ["sample", "init", "query", "ingest", "status", "predict", "review", "report"]
    assert named[: len(first)] == first
