"""A source that owl-geo does not have goes through a whole search, and nobody asks which it is."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import trial_source
from commands import one_error
from searches import label
from trial_source import owl, write_patches

import owl_geo
from owl_geo import Run
from owl_geo.errors import ConfigError, RunError, SourceError
from owl_geo.settings import owl_toml
from owl_geo.settings.config import source_sections
from owl_geo.verbs.doctor.findings import examine
from owl_geo.verbs.doctor.of_run import run_checks
from owl_geo.verbs.predict_array import predict_array
from owl_geo.verbs.preview import preview
from owl_geo.verbs.update import update


@pytest.fixture
def registered() -> Iterator[None]:
    with trial_source.registered():
        yield


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_patches(tmp_path / "patches.npz")


@pytest.fixture
def path(archive: Path, registered: None) -> Path:
    """A run over the archive with one batch, answered."""
    settings = {
        "source": {"kind": "trial", "path": str(archive)},
        "loop": {"initial": 6, "batch_size": 4},
    }
    run = owl_geo.init(archive.parent / "run", settings).run
    answer(run)
    return run.path


def answer(run: Run) -> None:
    entry = owl_geo.query(run)
    batch = run.batch_path(entry.number)
    label(batch, {p: ("present", "absent")[i % 2] for i, p in enumerate(entry.patch_ids)})
    owl_geo.ingest(run, [batch], annotator="ana")


def problems(path: Path) -> list[str]:
    findings = examine(run_checks(path))
    return [one.what for one in findings if one.state == "problem"]


def features(run: Run) -> list[str]:
    return sorted(file.name for file in (run.path / "features").glob("*.npy"))


def test_the_source_is_there_for_the_test_only(archive: Path) -> None:
    values = {"source": {"kind": "trial", "path": str(archive)}}
    before = source_sections()
    with pytest.raises(ConfigError, match=r"known: 'synthetic', .*'arrays'$"):
        owl_toml.parse(values, "test")
    with trial_source.registered():
        assert list(source_sections()) == [*before, "trial"]
        assert owl_toml.parse(values, "test").source.kind == "trial"
    assert source_sections() == before


def test_a_search_from_init_to_the_map(path: Path) -> None:
    run = Run(path)
    assert len(run.patches) == 64
    assert len(owl_geo.query(run).patch_ids) == 4
    now = owl_geo.status(run)
    assert (now.patches, sum(now.labels.values())) == (64, 6)
    done = owl_geo.predict(run)
    assert done.done == ("trial",)
    maps = owl_geo.predictions(run)["trial"]
    assert np.isfinite(maps["probability"].to_numpy()).sum() == 64
    assert problems(path) == []
    assert "64 patches" in owl_geo.report(run, path / "report.html").read_text(encoding="utf-8")


def test_what_init_would_do_is_said_before(archive: Path, registered: None) -> None:
    settings = owl_toml.parse({"source": {"kind": "trial", "path": str(archive)}}, "test")
    assert preview(archive.parent / "run", settings).n_patches == 64


def test_the_file_is_moved_with_the_run(path: Path, tmp_path: Path) -> None:
    toml = path / "owl.toml"
    shutil.move(tmp_path / "patches.npz", tmp_path / "moved.npz")
    with pytest.raises(SourceError, match=r"patches\.npz does not exist; put it back"):
        _ = Run(path).source
    assert any("does not exist" in line for line in problems(path))
    toml.write_text(toml.read_text().replace("patches.npz", "moved.npz"))
    assert len(Run(path).source.index) == 64
    assert problems(path) == []


def test_a_file_that_is_replaced_is_noticed(
    path: Path, archive: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = Run(path)
    owl_geo.query(before)
    kept = features(before)
    assert before.scenes.changed == {}
    assert kept
    write_patches(archive, seed=1)
    run = Run(path)
    assert list(run.scenes.changed) == ["trial"]
    assert run.scenes.ids != before.scenes.ids
    with caplog.at_level(logging.WARNING, logger="owl_geo"):
        _ = run.source
    assert "scene 'trial' changed since" in caplog.text
    assert problems(path) == ["scene 'trial' has changed since the run was made"]
    owl_geo.predict(run)
    assert features(run) != kept
    assert problems(update(path).run.path) == []


def test_a_copy_of_the_file_is_the_same(path: Path, archive: Path) -> None:
    shutil.copyfile(archive, archive.with_suffix(".copy"))
    shutil.move(archive.with_suffix(".copy"), archive)
    assert Run(path).scenes.changed == {}


def test_the_index_is_made_anew_after_an_edit(path: Path) -> None:
    toml = path / "owl.toml"
    toml.write_text(toml.read_text().replace("[evaluation]", "[evaluation]\nblock_size = 2"))
    with pytest.raises(RunError, match="--update"):
        _ = Run(path).patches
    run = update(path).run
    assert len(run.patches) == 64
    assert sum(owl_geo.status(run).labels.values()) == 6


def test_it_cannot_grow(path: Path, archive: Path) -> None:
    before = (path / "owl.toml").read_bytes()
    with pytest.raises(RunError, match="has a trial source, which cannot grow") as refused:
        owl_geo.add(path, [str(archive)])
    assert "\n" not in str(refused.value)
    assert (path / "owl.toml").read_bytes() == before


def test_it_has_no_truth_of_its_own(archive: Path, registered: None) -> None:
    values = {"source": {"kind": "trial", "path": str(archive)}, "oracle": {}}
    with pytest.raises(ConfigError, match=r"oracle\.path is missing: this source has no"):
        owl_geo.init(archive.parent / "run", values)


def test_a_scene_that_cannot_be_read_is_the_whole_source(path: Path, archive: Path) -> None:
    archive.write_bytes(b"no archive")
    with pytest.raises(SourceError, match="cannot read"):
        owl_geo.predict(path, on_error="skip", overwrite=True)


def test_the_command_line_takes_it(archive: Path, tmp_path: Path) -> None:
    """All of it by options that other sources have."""
    made = owl("init", "run", "--source", "trial", "--scene", "patches.npz", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "run: 64 patches of 8 x 8 pixels in EPSG:32631" in made.stdout
    toml = (tmp_path / "run" / "owl.toml").read_text()
    assert f'path = "{archive}"' in toml
    assert owl("query", "run", cwd=tmp_path).returncode == 0
    assert "trial source" in owl("status", "run", cwd=tmp_path).stdout
    checked = owl("doctor", "run", cwd=tmp_path)
    assert checked.stdout.splitlines()[-1] == "no problems", checked.stdout
    added = owl("add", "run", "--scene", "patches.npz", cwd=tmp_path)
    assert "which cannot grow; make a new run on scenes" in one_error(added)
    write_patches(archive, seed=1)
    updated = owl("init", "run", "--update", cwd=tmp_path)
    assert updated.returncode == 0, updated.stderr
    dry = owl("init", "r", "--source", "trial", "--scene", archive, "--dry-run", cwd=tmp_path)
    assert "64 at most, 8 x 8 pixels" in dry.stdout


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        (["--mask", "m.tif"], "--mask goes with --source geotiff"),
        (["--time", "mean"], "--time goes with --source cube"),
        (["--n-bands", "3"], "--n-bands goes with --source synthetic"),
        (["--scene", "b.npz"], "--source trial takes one --scene"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    options: list[str], refusal: str, archive: Path
) -> None:
    words = ("--source", "trial", "--scene", "patches.npz", *options)
    assert refusal in one_error(owl("init", "run", *words, cwd=archive.parent), code=2)


def test_other_imagery_is_judged_alike(path: Path) -> None:
    from cubes import cube

    values = np.random.default_rng(3).random((2, 32, 40), dtype=np.float32)
    bands = ("band_1", "band_2")
    maps = predict_array(path, cube(values, bands=bands))
    assert maps["probability"].shape == (4, 5)
