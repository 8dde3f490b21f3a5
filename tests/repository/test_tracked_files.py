"""What git keeps: nothing that a trial left behind."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Where files that no one can read in an editor have a reason to be.
WITH_DATA = (
    *("docs/images/", "sample_data/", "fuzz/inputs/"),
    *("tests/run_folder/made_before/", "qgis_plugin/owl_geo_labeler/"),
)


def is_text(path: Path) -> bool:
    try:
        return "\0" not in path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False


def test_data_are_kept_only_where_data_belong() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout of git")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    names = [name for name in listed.stdout.decode().split("\0") if name]
    assert "pyproject.toml" in names
    elsewhere = [name for name in names if not name.startswith(WITH_DATA)]
    present = [name for name in elsewhere if (ROOT / name).exists()]
    assert [name for name in present if not is_text(ROOT / name)] == []
