"""A further class while the search goes on: what was learnt and answered stays."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import searches
import torch
from rasters import write_raster

from owl_geo import Run, import_answers, ingest, init, predict, query, status
from owl_geo.batches import read_batch
from owl_geo.cli import _run as owl
from owl_geo.errors import BatchError, ConfigError, OwlError, RunError
from owl_geo.evaluation.simulate import answer as by_truth
from owl_geo.evaluation.simulate import simulate
from owl_geo.models import checkpoint
from owl_geo.models.spec import ModelSpec
from owl_geo.settings import owl_toml
from owl_geo.verbs.classes import add_class
from owl_geo.verbs.update import update

SMALL: dict[str, Any] = {
    "source": {"n_samples": 30},
    "loop": {"initial": 6, "batch_size": 3},
    "training": {"epochs": 3},
}
MODELS: dict[str, Any] = {
    "refitted": {"model": {"head": "logistic"}},
    "network": searches.MODELS["tutorial"],
    "mlp": {"model": {"head": "mlp"}},
}


def answer(run: Run, number: int, labels: list[str]) -> None:
    path = run.batch_path(number)
    ids = run.rounds()[number].patch_ids
    searches.label(path, dict(zip(ids, labels, strict=False)))
    ingest(run, [path], annotator="x")


def predicted(run: Run) -> dict[str, Any]:
    predict(run, top=3)
    (table,) = (run.path / "predictions/patches").glob("*.parquet")
    return dict(pd.read_parquet(table).set_index("patch_id"))


@pytest.mark.parametrize("model", MODELS)
def test_every_model_goes_on(tmp_path: Path, model: str) -> None:
    run = searches.make(tmp_path / "run", **searches.over(SMALL, **MODELS[model]))
    query(run)
    answer(run, 0, ["present", "absent"] * 3)
    query(run)  # its batch is open
    before = predicted(run)["probability"]
    assert owl(["classes", "add", str(run.path), "quarry", "-q"]) == 0
    run = Run(run.path)
    assert run.settings.classes == ("absent", "present", "quarry")
    # a class that has no answers yet changes no order
    after = predicted(run)["probability"][before.index]
    assert np.array_equal(np.argsort(before, kind="stable"), np.argsort(after, kind="stable"))
    answer(run, 1, ["present", "absent"])
    query(run)
    answer(Run(run.path), 2, ["quarry", "quarry", "absent"])
    entry = query(Run(run.path))
    assert np.isfinite(entry.metrics.train_loss)
    assert (entry.metrics.n_labeled, entry.metrics.positives_found) == (11, 4)
    assert max(entry.watched) <= 2 and len(entry.watched) == len(run.patches)
    assert list(run.labels.current()["label"])[:6] == ["present", "absent"] * 3


def test_all_that_a_run_is_used_for_goes_on(tmp_path: Path) -> None:
    run = searches.make(tmp_path / "run", **SMALL, **MODELS["refitted"])
    query(run)
    answer(run, 0, ["present", "absent"] * 3)
    assert owl(["classes", "add", str(run.path), " quarry ", "-q"]) == 0
    assert Run(run.path).settings.classes == ("absent", "present", "quarry")
    first = query(Run(run.path))
    shutil.rmtree(run.path / "rounds/001")  # as if it had been killed
    assert query(Run(run.path)).patch_ids == first.patch_ids
    answer(Run(run.path), 1, ["quarry", "present"])
    assert "quarry" in status(run.path).labels
    for words in (["labels", "export", run.path, tmp_path / "a.csv"], ["report", run.path]):
        assert owl([*map(str, words), "-q"]) == 0
    assert "quarry" in (run.path / "report.html").read_text()
    other = searches.make(tmp_path / "other", **SMALL)
    with pytest.raises(BatchError, match="'quarry'"):
        import_answers(other, tmp_path / "a.csv", annotator="x")
    add_class(other.path, "quarry")
    assert import_answers(other.path, tmp_path / "a.csv", annotator="x").new == 8


def test_nothing_is_renumbered_or_written_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = searches.make(tmp_path / "run")
    toml = run.path / "owl.toml"
    toml.write_text("# mine\n" + toml.read_text())
    query(run)
    files = [run.batch_path(0), run.path / "patches.parquet", run.path / "rounds/000/round.json"]
    bytes_before = [path.read_bytes() for path in files]
    assert owl(["classes", "add", str(run.path), "quarry"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [
        f"{run.path}: absent, present, quarry",
        f"{files[0]} was written before, without quarry; the next batch offers it",
    ]
    assert [path.read_bytes() for path in files] == bytes_before
    assert toml.read_text().startswith("# mine\n")
    run = Run(run.path)
    assert run.settings.positive == "present" and len(run.patches) == 80
    answer(run, 0, ["present", "absent"])
    entry = query(run)
    assert read_batch(run.batch_path(entry.number)).classes == ("absent", "present", "quarry")
    known = tmp_path / "known.csv"
    known.write_text(f"patch_id,label\n{entry.patch_ids[0]},quarry\n")
    assert import_answers(run, known, annotator="ana").counts == {"quarry": 1}


def test_classes_that_are_the_default_are_written_down(tmp_path: Path) -> None:
    run = searches.make(tmp_path / "run")
    toml = run.path / "owl.toml"
    lines = [line for line in toml.read_text().splitlines() if not line.startswith("classes")]
    toml.write_text("\n".join(lines))
    assert add_class(run, 'a "pit"').run.settings.classes == ("absent", "present", 'a "pit"')


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("present", "there is already the class 'present'"),
        ("mine,pit", "'mine,pit' has a comma, .*one class at a time"),
        (" ", "the class '' is empty"),
        ("Present", "it differs in case or blanks only from the class 'present'"),
        ("present ", "there is already the class 'present'"),
        ("unsure", "there is already the reserved word 'unsure'"),
        ("Skip", "it differs in case or blanks only from the reserved word 'skip'"),
        ("[%x%]", "QGIS would take the class"),
    ],
)
def test_what_cannot_be_a_further_class(tmp_path: Path, name: str, says: str) -> None:
    run = searches.make(tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run.path.glob("[!.]*.*")}
    with pytest.raises(ConfigError, match=says.replace("[", r"\[")):
        add_class(run.path, name)
    assert {path.name: path.read_bytes() for path in run.path.glob("[!.]*.*")} == before


def test_adding_the_newest_class_again_succeeds_as_where_the_first_was_killed_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = searches.make(tmp_path / "run")
    assert not add_class(run.path, "pit").had
    add_class(run.path, "quarry")
    before = {path.name: path.read_bytes() for path in run.path.glob("[!.]*.*")}
    assert add_class(run.path, "quarry").had
    assert owl(["classes", "add", str(run.path), "quarry"]) == 0
    said = capsys.readouterr().out
    assert said == (
        f"{run.path}: absent, present, pit, quarry\n"
        "quarry is a class of it already; nothing was changed\n"
    )
    with pytest.raises(ConfigError, match="there is already the class 'pit'"):
        add_class(run.path, "pit")
    with pytest.raises(ConfigError, match="differs in case"):
        add_class(run.path, "Quarry")
    assert {path.name: path.read_bytes() for path in run.path.glob("[!.]*.*")} == before


def test_answers_that_cannot_be_read_leave_the_classes(tmp_path: Path) -> None:
    run = searches.make(tmp_path / "run")
    query(run)
    (run.path / "labels.gpkg").write_bytes(b"")
    before = (run.path / owl_toml.FILE_NAME).read_bytes()
    with pytest.raises(OwlError, match="cannot read the answers"):
        add_class(run.path, "quarry")
    assert (run.path / owl_toml.FILE_NAME).read_bytes() == before


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("classes", "says"),
    [
        ("absent,Present,present", "from the class 'Present'"),
        ("absent, present,PRESENT ", "from the class 'present'"),
        ("absent,Unsure,present", "from the reserved word 'unsure'"),
    ],
)
def test_a_new_run_has_the_same_rule(
    tmp_path: Path, classes: str, says: str, dry: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write_raster(tmp_path / "s.tif", np.ones((1, 64, 64), "uint8"))
    words = ["init", tmp_path / "run", "--scene", scene, "--classes", classes, "-q", *dry]
    assert owl([*map(str, words)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: classes: ") and says in line
    assert not (tmp_path / "run").exists()


def test_blanks_and_commas_in_settings_are_refused_too(tmp_path: Path) -> None:
    for name, says in ((" mine", "begins or ends with a blank"), ("a,b", "has a comma")):
        with pytest.raises(ConfigError, match=says):
            searches.make(tmp_path / "run", classes=("absent", "present", name))


def test_a_run_that_was_made_before_the_rule_is_opened(tmp_path: Path) -> None:
    run = searches.make(tmp_path / "run", classes=("absent", "present", "x"))
    toml = run.path / "owl.toml"
    toml.write_text(toml.read_text().replace('"x"', '"Present"'))
    assert Run(run.path).settings.classes == ("absent", "present", "Present")


def test_a_message_says_which_settings_were_edited(tmp_path: Path) -> None:
    run = searches.make(tmp_path / "run")
    toml = run.path / "owl.toml"
    text = toml.read_text()

    def said() -> str:
        with pytest.raises(RunError) as caught:
            add_class(run.path, "quarry")
        return str(caught.value).removeprefix(f"{toml}: ")

    toml.write_text(text.replace('["absent", "present"]', '["absent", "present", "pit"]'))
    assert said().startswith("classes changed since the patch index was made; run `owl-geo init")
    toml.write_text(text.replace("value = 0.3", "value = 0.4").replace("seed = 42", "seed = 4"))
    assert said().startswith("seed, source.seed and concepts.near_industrial.value changed since")
    toml.write_text(text.replace("seed = 42", "seed = 4"))
    index = run.path / "index.json"
    values = json.loads(index.read_text())
    index.write_text(json.dumps({k: v for k, v in values.items() if k != "made_with"}))
    assert said().startswith("seed, classes, source, views, layers, concepts, oracle or evaluation")


def test_once_a_batch_is_made_classes_are_added_by_the_command(tmp_path: Path) -> None:
    run = searches.make(tmp_path / "run", **SMALL)
    query(run)
    toml = run.path / "owl.toml"
    toml.write_text(toml.read_text().replace('"present"]', '"present", "pit"]'))
    with pytest.raises(RunError, match=r"restore owl\.toml and use `owl-geo classes add`, or make"):
        update(run.path)


def test_a_truth_learns_of_a_class_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    codes = np.repeat(np.arange(3, dtype=np.uint8), 32)[None, :].repeat(64, axis=0)
    truth = write_raster(tmp_path / "truth.tif", codes[None])
    scene = write_raster(tmp_path / "scene.tif", codes[None] + 1.0)
    run = init(
        tmp_path / "run",
        owl_toml.parse(
            {
                "source": {
                    "kind": "geotiff",
                    "scenes": [{"name": "s", "path": str(scene)}],
                    "patch_size": 8,
                },
                "oracle": {"path": str(truth), "values": {"present": ["1"]}},
            },
            "test",
        ),
    ).run
    entry = query(run)
    by_truth(run, entry)  # to which a quarry is nothing yet
    assert owl(["classes", "add", str(run.path), "quarry"]) == 0
    assert "where quarry is: set oracle.values.quarry" in capsys.readouterr().out
    counts = {"absent": 64, "present": 32}
    assert Run(run.path).truth["label"].value_counts().to_dict() == counts
    update(run.path)
    assert "otherwise before" not in caplog.text
    toml = run.path / "owl.toml"
    toml.write_text(toml.read_text().replace('present = ["1"]', 'present = ["1"]\nquarry = ["2"]'))
    update(run.path)
    counts = {"absent": 32, "present": 32, "quarry": 32}
    truth = Run(run.path).truth
    assert truth["label"].value_counts().to_dict() == counts
    quarries = truth["patch_id"][truth["label"] == "quarry"].isin(entry.patch_ids).sum()
    patches = "1 patch" if quarries == 1 else f"{quarries} patches"
    assert quarries and f"the truth answered {patches} otherwise before" in caplog.text


def test_a_simulated_search_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = searches.make(tmp_path / "run", oracle={}, loop={"rounds": 1})
    query(run)
    truth = (run.path / "truth.parquet").read_bytes()
    assert owl(["classes", "add", str(run.path), "quarry"]) == 0
    assert "oracle.values" not in capsys.readouterr().out  # the truth is the source's own
    simulate(Run(run.path))
    assert set(Run(run.path).labels.history()["label"]) == {"absent", "present"}
    assert (run.path / "truth.parquet").read_bytes() == truth


def test_a_network_is_widened_by_improbable_classes() -> None:
    spec = ModelSpec(
        kind="cnn", bands=("a",), classes=("x", "y"), patch_size=8, dropout=0.0, n_concepts=0
    )
    model = checkpoint.build(spec, seed=1).eval()
    images = torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        before = model(images)
        checkpoint.widen(model, 4)
        after = model(images)
    assert model.n_classes == 4 and torch.allclose(after[:, :2], before, atol=1e-6)
    further = before.mean(dim=1, keepdim=True) - 3
    assert torch.allclose(after[:, 2:], further.expand(-1, 2), atol=1e-5)
