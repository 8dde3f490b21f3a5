"""The commands of the first hour, in README and in the tutorial, typed as they stand."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from searches import label

from owl_geo import Run

ROOT = Path(__file__).parents[2]
ELSEWHERE = ("doctor", "plugin")  # these look at this computer and at its user's QGIS
FOLLOWS = "## On your own scene"
README = (ROOT / "README.md").read_text(encoding="utf-8")
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
FIRST_MINUTES = README.partition("## Five minutes on the sample data")[2].partition("\n## ")[0]


def lines(text: str) -> list[list[str]]:
    """Return the commands of a text's code, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    joined = "\n".join(blocks).replace("\\\n", " ").splitlines()
    typed = [shlex.split(line, comments=True) for line in joined if line.startswith("owl-geo ")]
    return [words[1:] for words in typed if words[1] not in ELSEWHERE]


def type_in(typed: list[list[str]], start: Path, search: Path, enters: bool) -> None:
    """Type commands; once the sample is there, in its folder if the reader ``enters`` that."""
    folder = start
    for words in typed:
        if words[0] == "ingest":  # what the reader did in QGIS
            batch = Run(search).batch_path(0)
            patches = Run(search).rounds()[0].patch_ids
            label(batch, {p: "absent" if i % 3 else "present" for i, p in enumerate(patches)})
        done = subprocess.run(
            [sys.executable, "-m", "owl_geo", *words],
            cwd=folder,
            env=dict(os.environ),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{words}: {done.stderr}"
        if words[0] == "sample" and enters:
            folder = start / words[1]


def test_the_page_on_change_works_as_it_is_written(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "change.md").read_text(encoding="utf-8")
    folder = tmp_path / "change"
    on_the_sample = page.partition("## What may be a view")[0]
    type_in(lines(on_the_sample), tmp_path, folder / "felled", enters=True)
    batch = Run(folder / "felled").batch_path(0)
    with closing(sqlite3.connect(batch)) as connection:
        views = connection.execute("SELECT name, path FROM views").fetchall()
    assert [(name, Path(path).name) for name, path in views] == [("before", "scene.tif")]
    trial = Run(folder / "trial")
    assert trial.is_finished()
    assert trial.rounds()[-1].metrics.positives_found >= 25  # of 43, where chance finds 6


def test_the_tutorial_works_as_it_is_written(tmp_path: Path) -> None:
    search = tmp_path / "first-search" / "search"
    repository = tmp_path / "repository"
    repository.mkdir()
    type_in(lines(TUTORIAL.partition(FOLLOWS)[0]), repository, search, enters=True)
    assert len(Run(search).rounds()) == 2
    assert (search / "predictions" / "patches.gpkg").is_file()
    assert Run(tmp_path / "first-search" / "trial").is_finished()


def test_the_first_minutes_in_readme_work_as_they_are_written(tmp_path: Path) -> None:
    typed = lines(FIRST_MINUTES)
    assert [words[0] for words in typed][:3] == ["sample", "init", "query"]
    search = tmp_path / "first" / "search"
    type_in(typed, tmp_path, search, enters=False)
    assert len(Run(search).rounds()) == 2
    assert (search / "report.html").is_file()
