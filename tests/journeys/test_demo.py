"""``make demo``: what it prints is what README shows, and a second call only goes on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from owl_geo import Run

pytestmark = pytest.mark.skipif(shutil.which("sh") is None, reason="make needs a shell")

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
LEFT_OUT = "..."


def recipe(target: str) -> str:
    """Return the commands of a rule as the shell gets them, with ``.venv/bin`` for ``$(BIN)``."""
    rule = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, flags=re.MULTILINE)
    assert rule is not None
    commands = re.sub(r"^\t@?", "", rule[1], flags=re.MULTILINE)
    commands = commands.replace("$(BIN)", ".venv/bin").replace("$(VENV)", ".venv")
    assert "$(" not in commands
    return commands.replace("$$", "$")


def make_demo(folder: Path) -> str:
    """Run the recipe in a folder, and return what it prints to stdout."""
    program = folder / ".venv" / "bin" / "owl-geo"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m owl_geo "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", recipe("demo")],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not re.search("warning|error|Traceback", done.stderr), done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkout")


@pytest.fixture(scope="module")
def printed(folder: Path) -> list[str]:
    """The lines of a first call."""
    return make_demo(folder).splitlines()


def shown_in_readme() -> list[str]:
    section = README.split("\n## Two commands\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```text\n(.*?)```", section, flags=re.DOTALL)
    return block.splitlines()


def is_shown(line: str, printed_line: str) -> bool:
    """Say whether README shows a line, whole or up to the dots at its end."""
    if line.endswith(LEFT_OUT):
        return printed_line.startswith(line.removesuffix(LEFT_OUT))
    return line == printed_line


def test_readme_shows_what_it_prints(printed: list[str]) -> None:
    at, may_skip = 0, True  # lines before the first that is shown are left out as well
    for line in shown_in_readme():
        if line == LEFT_OUT:
            may_skip = True
            continue
        following = range(at, len(printed) if may_skip else at + 1)
        found = next((place for place in following if is_shown(line, printed[place])), None)
        assert found is not None, f"{line!r} is not printed behind {printed[at - 1]!r}"
        at, may_skip = found + 1, False
    assert may_skip or at == len(printed)


def test_it_searches_the_sample_to_the_end_and_then_generated_patches(
    printed: list[str], folder: Path
) -> None:
    typed = [line.split()[2:4] for line in printed if line.startswith("$ owl-geo ")]
    assert typed == [
        ["sample", "demo"],
        ["init", "demo/trial"],
        ["run", "demo/trial"],
        ["predict", "demo/trial"],
        ["report", "demo/trial"],
        ["run", "--source"],
    ]
    trial = Run(folder / "demo" / "trial")
    assert trial.is_finished()
    assert (trial.path / "predictions" / "probability.vrt").is_file()
    # the path of the report is the last line of the sample's search
    search, generated = "\n".join(printed).split("\n\nA search on generated patches.")
    assert search.splitlines()[-1] == "demo/trial/report.html"
    assert (folder / "demo" / "trial" / "report.html").is_file()
    rows = re.findall(r"^ +(\d+) \| +(\d+) \| +[01]\.\d{3}$", generated, flags=re.MULTILINE)
    assert rows == [(str(number), str(10 + 10 * number)) for number in range(1, 11)]


def test_a_second_call_changes_nothing_that_was_searched(printed: list[str], folder: Path) -> None:
    def searched() -> dict[Path, bytes]:
        rounds = folder.glob("demo/*/rounds/*/*")
        return {path: path.read_bytes() for path in [*rounds, *folder.glob("demo/*/labels.gpkg")]}

    before = searched()
    assert len(before) > 40
    again = make_demo(folder).splitlines()
    assert searched() == before
    assert "demo/ holds one already, which goes on; rm -r demo starts afresh." in again
    assert "demo/trial is finished; nothing was changed" in again
    assert "demo/synthetic is finished; nothing was changed" in again
    tables = [[line for line in lines if " | " in line] for lines in (printed, again)]
    assert tables[0] == tables[1] != []


def test_a_call_that_was_stopped_is_gone_on_with(printed: list[str], folder: Path) -> None:
    """All is answered, and the process is killed before the last fit and what is made of it."""
    trial = folder / "demo" / "trial"
    shutil.rmtree(trial / "rounds" / "011")
    shutil.rmtree(trial / "predictions")
    (trial / "report.html").unlink()
    again = make_demo(folder)
    assert next(line for line in printed if line.startswith("Found")) in again.splitlines()
    assert Run(trial).is_finished()
    assert (trial / "predictions" / "probability.vrt").is_file()
    assert (trial / "report.html").is_file()


def test_all_of_it_lies_in_one_folder_that_git_and_clean_know(
    printed: list[str], folder: Path
) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [".venv", "demo"]
    assert "/demo/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "demo" in recipe("clean").split()
