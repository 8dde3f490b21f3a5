"""``owl-geo doctor``: what is broken is found, said in a line, and stops no other check."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rasters import write_raster
from searches import label, make

import owl_geo
from owl_geo import Run
from owl_geo.cli import doctor, plugin
from owl_geo.verbs.doctor import installation
from owl_geo.verbs.doctor.findings import Finding, examine
from owl_geo.verbs.doctor.of_run import run_checks


def examined(run: Path) -> list[Finding]:
    return list(examine(run_checks(run)))


def problems(findings: list[Finding]) -> list[str]:
    assert all(one.remedy for one in findings if one.state != "ok")
    return [f"{one.what}; {one.remedy}" for one in findings if one.state == "problem"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run over one scene with a batch, half of it answered."""
    values = np.random.default_rng(0).integers(0, 99, (2, 64, 64)).astype("uint16")
    scene = write_raster(tmp_path / "s.tif", values)
    made = owl_geo.init(
        tmp_path / "run",
        {
            "source": {
                "kind": "geotiff",
                "patch_size": 8,
                "scenes": [{"name": "s", "path": str(scene)}],
            },
            "loop": {"initial": 4},
        },
    ).run
    batch = made.batch_path(owl_geo.query(made).number)
    label(batch, {Run(made.path).rounds()[0].patch_ids[0]: "present"})
    owl_geo.ingest(made, [batch], annotator="ana")
    return made.path


def doctored(*arguments: object, shadow: Path | None = None, **more: str) -> tuple[int, list[str]]:
    """Run the command in a process, with a folder before all others on the path of modules."""
    path = [str(shadow)] if shadow else []
    path += [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    done = subprocess.run(
        [sys.executable, "-m", "owl_geo", "doctor", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path), **more},
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


def test_a_sound_run_on_a_sound_machine_has_no_problem(run: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    code, lines = doctored(run, "-v", XDG_DATA_HOME=str(tmp_path))
    assert code == 0, lines
    assert lines[-1] == "no problems"
    assert all(line.split()[0] in ("ok", "note") for line in lines[:-1])
    for said in ("torch ", "JP2OpenJPEG", "reads Zarr", "GPU", "answers in labels.gpkg: 1"):
        assert any(said in line for line in lines), said
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_a_library_that_is_too_old_is_named_with_what_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = installation.version
    old = {"rasterio": "1.4.0", "zarr": "2.18.7", "numba": "0.1"}
    monkeypatch.setattr(installation, "version", lambda name: old.get(name) or found(name))
    said = [one for one in examine(installation.environment()) if one.state == "problem"]
    assert [one.what for one in said] == [
        "rasterio is 1.4.0, owl-geo needs >=1.4.2",
        "zarr is 2.18.7, owl-geo needs >=3.1.4",
    ]
    assert [one.remedy for one in said] == [
        "pip install 'rasterio>=1.4.2'",
        "pip install 'zarr>=3.1.4'",
    ]


def test_of_a_run_what_is_well_with_the_machine_is_left_out(run: Path, tmp_path: Path) -> None:
    code, lines = doctored(run, XDG_DATA_HOME=str(tmp_path))
    assert code == 0, lines
    assert any("answers in labels.gpkg: 1" in line for line in lines)
    assert not any(line.startswith("ok") and "torch" in line for line in lines)


def test_libraries_that_do_not_load_are_named_and_the_rest_is_checked(tmp_path: Path) -> None:
    for name in ("rasterio", "torchvision"):
        (tmp_path / name).mkdir()
        broken = "raise ImportError('DLL load failed:\\n the module was not found')\n"
        (tmp_path / name / "__init__.py").write_text(broken)
    (tmp_path / "torch.py").write_text("print('torch begins to load', flush=True)\n")
    code, lines = doctored(shadow=tmp_path)
    assert code == 1
    assert not any("Traceback" in line for line in lines)
    for name in ("rasterio", "torchvision"):
        assert any(
            line.startswith(f"problem  {name} ")
            and "does not load: DLL load failed: the module was not found; pip install" in line
            for line in lines
        )
    assert any(line.startswith("problem  GPU: AttributeError") for line in lines)  # a torch of air
    assert any(line.startswith("ok       GeoPackages can be written") for line in lines)
    assert lines.index("torch begins to load") > 5  # there was something to read before


def test_a_missing_scene(run: Path) -> None:
    (run.parent / "s.tif").unlink()
    (line,) = problems(examined(run))
    assert "scene 's'" in line
    assert "s.tif does not exist; put it back, or give its new path in" in line


def test_a_changed_scene(run: Path) -> None:
    write_raster(run.parent / "s.tif", np.ones((2, 64, 64), dtype="uint16"))
    (line,) = problems(examined(run))
    assert "has changed since the run was made; restore it, or run owl-geo init" in line


def test_a_broken_owl_toml(run: Path) -> None:
    text = (run / "owl.toml").read_text()
    (run / "owl.toml").write_text(text.replace("seed = 42", "seed = "))
    (line,) = problems(examined(run))
    assert "cannot be read as TOML" in line
    (run / "owl.toml").write_text(text.replace("batch_size = 10", "batchsize = 10"))
    (line,) = problems(examined(run))
    assert "did you mean 'batch_size'?" in line


def test_a_damaged_index_does_not_hide_a_lost_scene(run: Path) -> None:
    (run / "patches.parquet").write_bytes(b"PAR1 no more")
    (run.parent / "s.tif").unlink()
    said = problems(examined(run))
    assert any("patches.parquet is damaged" in line for line in said)
    assert any("s.tif does not exist" in line for line in said)


def test_a_damaged_round_and_a_lost_batch(run: Path) -> None:
    (run / "rounds" / "000" / "batch.gpkg").unlink()
    findings = examined(run)
    assert not problems(findings)
    assert any(one.state == "note" and "batch.gpkg is missing" in one.what for one in findings)
    (run / "rounds" / "000" / "round.json").write_text("{")
    (line,) = problems(examined(run))
    assert "round.json is damaged" in line


def test_damaged_answers(run: Path) -> None:
    (run / "labels.gpkg").write_bytes(b"no database")
    assert any("labels.gpkg" in line for line in problems(examined(run)))


def test_what_a_killed_command_left_is_a_note(run: Path) -> None:
    (run / "rounds" / ".001.partial-abcd").mkdir()
    (run.parent / ".run.partial-1234").mkdir()
    notes = [one.what for one in examined(run) if one.state == "note"]
    assert len([what for what in notes if "was left by a command" in what]) == 2


def test_another_command_at_work_is_a_note(run: Path) -> None:
    with Run(run).locked():
        notes = [one for one in examined(run) if one.state == "note"]
    assert any("another owl-geo is working" in one.what for one in notes)


def test_a_drive_without_locks_is_a_problem_whatever_the_name_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "another owl-geo is working on it").path

    def acquire(*_arguments: object, **_options: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr("filelock.FileLock.acquire", acquire)
    (line,) = problems(examined(path))
    assert "is on a drive that cannot lock files" in line


def test_no_run_at_all(tmp_path: Path) -> None:
    (line,) = problems(examined(tmp_path / "nowhere"))
    assert "no run folder" in line
    assert "owl-geo init" in line


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no folder that nobody may write")
def test_a_folder_that_cannot_be_written() -> None:
    (line,) = problems(
        list(examine([("folder", lambda: installation.check_folder(Path("/proc"), "TMPDIR"))]))
    )
    assert "cannot write /proc" in line
    assert "set TMPDIR to another" in line


def test_a_check_that_breaks_is_a_problem_and_the_next_one_runs() -> None:
    def breaks() -> list[Finding]:
        raise ZeroDivisionError("two\nlines")

    found = list(examine([("one", breaks), ("other", lambda: [Finding("ok", "all is well")])]))
    assert found[0].state == "problem"
    assert found[0].what == "one: ZeroDivisionError: two lines"
    assert found[1].what == "all is well"


def test_a_plugin_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QGIS_CUSTOM_CONFIG_PATH", str(tmp_path))
    (finding,) = doctor._plugin()
    assert (finding.state, finding.remedy) == ("note", "owl-geo plugin install")
    place = tmp_path / "profiles" / "default" / "python" / "plugins" / plugin.NAME
    shutil.copytree(plugin.plugin_folder(), place)
    (finding,) = doctor._plugin()
    assert finding.state == "ok"
    metadata = place / "metadata.txt"
    metadata.write_text(metadata.read_text().replace(f"version={owl_geo.__version__}", "version=0"))
    (finding,) = doctor._plugin()
    assert finding.state == "problem"
    assert "owl-geo plugin install" in finding.remedy


def test_a_database_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setattr("owl_geo.labels.database.RETRY_SECONDS", 0.1)
    path = make(tmp_path / "run", labels="postgresql://127.0.0.1:1/none").path
    said = problems(examined(path))
    assert len(said) == 1
    assert "127.0.0.1" in said[0]
