"""The commands of the documentation's first hour, typed as they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from searches import label

from owl_geo import Run

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.md"
ELSEWHERE = ("doctor", "plugin")  # these look at this computer and at its user's QGIS


def lines() -> list[list[str]]:
    """Return the commands over the sample, in order; what follows is on the reader's own scene."""
    text = TUTORIAL.read_text(encoding="utf-8").split("## On your own scene")[0]
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    joined = "\n".join(blocks).replace("\\\n", " ").splitlines()
    typed = [shlex.split(line, comments=True) for line in joined if line.startswith("owl-geo ")]
    return [words[1:] for words in typed if words[1] not in ELSEWHERE]


def test_the_first_hour_works_as_it_is_written(tmp_path: Path) -> None:
    folder = tmp_path
    search = tmp_path / "first-search" / "search"
    for words in lines():
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
        if words[0] == "sample":
            folder = tmp_path / words[1]
    assert len(Run(search).rounds()) == 2
    assert (search / "predictions" / "patches.gpkg").is_file()
    assert Run(folder / "trial").is_finished()
