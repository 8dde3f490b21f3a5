"""``owl-geo plugin``: where the plugin goes, and what the zip holds."""

from __future__ import annotations

import ast
import configparser
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from defusedxml.ElementTree import parse as parse_xml

from owl_geo import __version__
from owl_geo.cli import main, plugin
from owl_geo.schema import WHY_COLUMNS

NAME = plugin.NAME
PLUGIN = Path(__file__).parents[2] / "qgis_plugin" / NAME


def owl_geo(*arguments: object) -> Result:
    return CliRunner().invoke(plugin.plugin, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without QGIS."""
    for name in ("QGIS_CUSTOM_CONFIG_PATH", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path / "AppData"))
    return tmp_path


@pytest.mark.parametrize(
    ("platform", "place"),
    [
        ("linux", ".local/share/QGIS/QGIS3"),
        ("win32", "AppData/QGIS/QGIS3"),
        ("darwin", "Library/Application Support/QGIS/QGIS3"),
    ],
)
def test_it_goes_into_the_users_profile(
    platform: str, place: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    result = owl_geo("install")
    target = home / place / "profiles" / "default" / "python" / "plugins" / NAME
    assert str(target) in result.output
    assert (target / "metadata.txt").read_bytes() == (PLUGIN / "metadata.txt").read_bytes()
    assert not list(target.rglob("__pycache__"))


def test_it_goes_into_each_qgis_and_the_profile_that_it_starts_with(home: Path) -> None:
    for application, name in (("QGIS3", "survey"), ("QGIS4", "default")):
        profiles = home / ".local/share/QGIS" / application / "profiles"
        (profiles / name).mkdir(parents=True)
        (profiles / "profiles.ini").write_text(f"[core]\ndefaultProfile={name}\n")
    lines = owl_geo("install").output.splitlines()
    assert f"QGIS3/profiles/survey/python/plugins/{NAME}" in lines[0]
    assert f"QGIS4/profiles/default/python/plugins/{NAME}" in lines[1]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an environment whose programs are python and owl-geo."""
    folder = tmp_path / "environment"
    for name in ("bin/python", "bin/owl-geo", "Scripts/python.exe", "Scripts/owl-geo.exe"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "bin" / "python"))
    return folder


def installed(tmp_path: Path) -> Path:
    return tmp_path / "profiles" / "t" / "python" / "plugins" / NAME


@pytest.mark.parametrize(
    ("platform", "python", "program"),
    [
        ("linux", "bin/python", "bin/owl-geo"),
        ("win32", "Scripts/python.exe", "Scripts/owl-geo.exe"),
        ("win32", "python.exe", "Scripts/owl-geo.exe"),
        ("linux", "python", None),
    ],
)
def test_the_plugin_is_told_which_owl_geo_installed_it(
    platform: str,
    python: str,
    program: str | None,
    environment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys, "executable", str(environment / python))
    said = owl_geo("install", "--profiles-path", tmp_path, "--profile", "t").output
    told = installed(tmp_path) / plugin.PROGRAM_FILE
    if program is None:
        assert not told.exists()
        assert "will start" not in said
    else:
        assert told.read_text(encoding="utf-8") == f"{environment / program}\n"
        assert f"will start {environment / program}" in said
    assert not (PLUGIN / plugin.PROGRAM_FILE).exists()


def test_of_two_programs_it_is_the_one_that_was_called(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "programs" / "owl-geo"
    link.parent.mkdir()
    link.symlink_to(environment / "bin" / "owl-geo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["programs/owl-geo"])
    owl_geo("install", "--profiles-path", tmp_path, "--profile", "t")
    assert (installed(tmp_path) / plugin.PROGRAM_FILE).read_text().strip() == str(link)


def test_it_says_the_name_that_qgis_shows(tmp_path: Path) -> None:
    said = owl_geo("install", "--profiles-path", tmp_path, "--profile", "t").output
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(PLUGIN / "metadata.txt", encoding="utf-8")
    assert f"tick {metadata['general']['name']!r}" in said


def test_it_replaces_an_older_version_whole(tmp_path: Path) -> None:
    owl_geo("install", "--profiles-path", tmp_path, "--profile", "t")
    target = tmp_path / "profiles" / "t" / "python" / "plugins" / NAME
    (target / "of_the_old_version.py").touch()
    owl_geo("install", "--profiles-path", tmp_path, "--profile", "t")
    assert not (target / "of_the_old_version.py").exists()
    assert [path.name for path in target.parent.iterdir()] == [NAME]


def test_an_older_version_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was deleted, where the new one could not be put in its place."""
    command = ["plugin", "install", "--profiles-path", str(tmp_path), "--profile", "t"]
    owl_geo(*command[1:])
    target = installed(tmp_path)
    (target / "of_the_old_version.py").touch()
    rename = Path.rename

    def fails(path: Path, to: Path) -> Path:
        if to == target and not (path / "of_the_old_version.py").exists():
            raise PermissionError(13, "Permission denied")
        return rename(path, to)

    capsys.readouterr()
    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="1"):
        patch.setattr(Path, "rename", fails)
        main(command)
    said = capsys.readouterr().err
    assert said.startswith(f"error: cannot write {target}: Permission denied")
    assert (target / "of_the_old_version.py").exists() and (target / "metadata.txt").exists()
    assert [path.name for path in target.parent.iterdir()] == [NAME]


def test_what_a_killed_install_left_goes_the_next_time(tmp_path: Path) -> None:
    owl_geo("install", "--profiles-path", tmp_path, "--profile", "t")
    target = installed(tmp_path)
    target.rename(target.with_name(f".{NAME}.partial-0123"))  # it was to be replaced
    assert owl_geo("install", "--profiles-path", tmp_path, "--profile", "t").exit_code == 0
    assert [path.name for path in target.parent.iterdir()] == [NAME]


def test_an_unknown_profile_and_a_foreign_folder_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "profiles" / "default").mkdir(parents=True)
    command = ["plugin", "install", "--profiles-path", str(tmp_path), "--profile"]
    with pytest.raises(SystemExit, match="1"):
        main([*command, "defalt"])
    assert "did you mean 'default'?" in capsys.readouterr().err
    foreign = tmp_path / "profiles" / "default" / "python" / "plugins" / NAME
    foreign.mkdir(parents=True)
    (foreign / "notes.txt").touch()
    with pytest.raises(SystemExit, match="1"):
        main([*command, "default"])
    assert capsys.readouterr().err.startswith(f"error: {foreign} is not a QGIS plugin")
    assert (foreign / "notes.txt").exists()


def test_the_zip_holds_what_the_plugin_manager_asks_for(tmp_path: Path) -> None:
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    assert owl_geo("zip", "--out", first).output.strip() == str(first)
    owl_geo("zip", "--out", second)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
        metadata = configparser.ConfigParser(interpolation=None)
        metadata.read_string(archive.read(f"{NAME}/metadata.txt").decode())
    assert {name.split("/")[0] for name in names} == {NAME}
    general = metadata["general"]
    for needed in ("__init__.py", "metadata.txt", "LICENSE", "schema.py", general["icon"]):
        assert f"{NAME}/{needed}" in names
    assert f"{NAME}/{plugin.PROGRAM_FILE}" not in names
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".so"))]
    required = "name description about version author email repository tracker qgisMinimumVersion"
    assert all(general.get(key) for key in required.split())
    assert general["version"] == __version__
    assert general["hasProcessingProvider"] == "yes"


def test_a_zip_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="1"):
        main(["plugin", "zip", "--out", str(tmp_path / "none" / "p.zip")])
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(PLUGIN.glob("*.py")), ids=lambda path: path.name)
def test_it_needs_nothing_but_qgis_and_the_standard_library(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add((node.module or "").split(".")[0])
    # osgeo comes with every QGIS, whose own plugins need it
    assert imported <= {*sys.stdlib_module_names, "qgis", "osgeo"}
    assert "PyQt5" not in text and "PyQt6" not in text


def test_every_text_is_ready_for_translation() -> None:
    """Holds the .ts file to the code: ``pylupdate6 --ts i18n/owl_geo_labeler.ts *.py`` makes it.

    All but the titles in ``schema.py``, which has nothing of Qt.
    """
    in_code = {
        node.args[-1].value
        for path in PLUGIN.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (getattr(node.func, "attr", "") or getattr(node.func, "id", "")) in ("tr", "translate")
        and isinstance(node.args[-1], ast.Constant)
    }
    in_schema = {column.title for column in WHY_COLUMNS if column.in_panel}
    catalogue = parse_xml(PLUGIN / "i18n" / f"{NAME}.ts")
    assert {source.text for source in catalogue.iter("source")} == in_code | in_schema
