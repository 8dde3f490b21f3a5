"""What is uploaded: a wheel and an sdist that agree, install, and work outside of the checkout."""

from __future__ import annotations

import configparser
import email
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from owl_geo import __version__

ROOT = Path(__file__).parents[2]
PLUGIN = "owl_geo_labeler"


def succeeds(*command: object, **options: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of the checkout, and the wheel that is built of the sdist alone."""
    folder = tmp_path_factory.mktemp("dist")
    succeeds(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def sdist(dist: Path) -> Path:
    (found,) = dist.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that has the wheel, and this one's libraries."""
    place = tmp_path_factory.mktemp("elsewhere") / "environment"
    succeeds(sys.executable, "-m", "venv", "--without-pip", place)
    programs = place / ("Scripts" if os.name == "nt" else "bin")
    inside = sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)})
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    Path(inside, "zz_libraries.pth").write_text("\n".join(libraries) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet"]
    succeeds(*pip, "--no-deps", "--no-index", "--ignore-installed", wheel)
    return programs


def outside() -> dict[str, str]:
    """The environment variables of somebody who has no checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_wheel_and_sdist_pass_the_checks_of_the_index(dist: Path) -> None:
    told = succeeds(sys.executable, "-m", "twine", "check", "--strict", *sorted(dist.iterdir()))
    assert told.count("PASSED") == 2


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        information = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(information))
        plugin = configparser.ConfigParser(interpolation=None)
        plugin.read_string(archive.read(f"owl_geo/_plugin/{PLUGIN}/metadata.txt").decode())
    assert metadata["Version"] == plugin["general"]["version"] == __version__
    assert {"owl_geo/py.typed", "owl_geo/labels/store.sql"} <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert tops == {"owl_geo", f"owl_geo-{__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".partial")]


def test_the_sdist_builds_the_wheel_that_the_checkout_builds(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir"]
    succeeds(*command, tmp_path, ROOT)
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(tmp_path / wheel.name) as other:
        assert {n: one.read(n) for n in one.namelist()} == {
            n: other.read(n) for n in other.namelist()
        }


def test_the_sdist_has_what_tests_and_documentation_need(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "mkdocs.yml", "docs/index.md")
    assert {
        *wanted,
        "tests/repository/test_release.py",
        f"qgis_plugin/{PLUGIN}/metadata.txt",
    } <= names
    assert not [name for name in names if name.startswith((".venv", "site/", "shared"))]


def test_the_wheel_works_outside_of_the_checkout(installed: Path, tmp_path: Path) -> None:
    program, python = installed / "owl-geo", installed / "python"
    elsewhere = {"cwd": tmp_path, "env": outside()}
    place = succeeds(python, "-c", "import owl_geo; print(owl_geo.__file__)", **elsewhere)
    assert Path(place.strip()).is_relative_to(installed.parent)
    assert __version__ in succeeds(program, "--version", **elsewhere)
    small = ("--n-samples", 60, "--rounds", 1)
    told = succeeds(program, "run", "--source", "synthetic", *small, "--out", "r", **elsewhere)
    assert "Labeled" in told
    assert (tmp_path / "r" / "labels.gpkg").is_file()
    succeeds(program, "plugin", "zip", "--out", "plugin.zip", **elsewhere)
    with zipfile.ZipFile(tmp_path / "plugin.zip") as archive:
        metadata = archive.read(f"{PLUGIN}/metadata.txt").decode()
    assert f"version={__version__}\n" in metadata


def test_the_changelog_knows_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[([0-9.]+)\] - (?:unreleased|\d{4}-\d\d-\d\d)$", text, re.M)
    assert versions[0] == __version__
