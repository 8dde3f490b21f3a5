"""The curves and maps of a run are drawn from what the run holds."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from corners import answer, answered
from PIL import Image
from rasters import write_raster
from searches import label, make

import owl_geo
from owl_geo.evaluation.simulate import simulate
from owl_geo.reporting.curves import Curves, curves_of, discovery, learning
from owl_geo.reporting.groups import _parts
from owl_geo.reporting.survey import Survey
from owl_geo.verbs.status import status


def test_curves_hold_the_rounds_and_what_came_after(tmp_path) -> None:
    run = answered(tmp_path / "two", rounds=2)
    owl_geo.query(run, device="cpu")
    curves = curves_of(Survey.of(run), status(run))
    rows = [entry.metrics for entry in run.rounds()]
    assert curves.labels == tuple(row.n_labeled for row in rows)
    assert curves.found == tuple(row.positives_found for row in rows)
    run = answered(tmp_path / "one" / "run", rounds=1)
    after = curves_of(Survey.of(run), status(run))
    assert after.labels == (0, 12)
    assert after.found[-1] == (run.labels.current()["label"] == "present").sum()


def test_the_curve_ends_with_the_labels_of_now_where_answers_became_unsure(tmp_path) -> None:
    run = answered(tmp_path / "run", rounds=2)
    owl_geo.query(run, device="cpu")
    first, second = (entry.patch_ids for entry in run.rounds()[:2])
    label(run.batch_path(0), dict.fromkeys([*first[:4], first[-1]], "unsure"))
    owl_geo.ingest(run, [run.batch_path(0)], annotator="ana")
    labels = run.labels.current()["label"]
    now = int(labels.isin(["absent", "present"]).sum()), int((labels == "present").sum())
    assert len(first) < now[0] < len(first) + len(second)
    curves = curves_of(Survey.of(run), status(run))
    assert (curves.labels[-1], curves.found[-1]) == now
    assert curves.labels == (0, len(first), now[0])
    page = owl_geo.report(run).read_text(encoding="utf-8")
    assert f"{now[1]} present found with {now[0]} labels." in page
    # the batch after next knows that too
    owl_geo.query(run, device="cpu", go_on=True)
    assert curves_of(Survey.of(run), status(run)).labels == curves.labels


def test_the_learning_curve_has_one_point_for_as_many_labels(tmp_path) -> None:
    """Batches that are left, as for ``review`` and ``like``, are rounds without new answers."""
    run = answered(tmp_path / "run", rounds=2)
    for _ in range(2):
        owl_geo.query(run, device="cpu", go_on=True)
    measured = [entry.metrics for entry in run.rounds() if not math.isnan(entry.metrics.cv_auc)]
    assert [row.n_labeled for row in measured[-2:]] == [measured[-1].n_labeled] * 2
    curves = curves_of(Survey.of(run), status(run))
    assert list(curves.auc_labels) == sorted({row.n_labeled for row in measured})
    assert curves.auc[-1] == measured[-1].cv_auc


def test_chance_is_the_prevalence_among_what_can_be_asked(tmp_path) -> None:
    run = make(tmp_path / "run", oracle={})
    simulate(run)
    expected = curves_of(Survey.of(run), status(run)).expected
    truth_ = run.truth[~run.truth["held_out"]]
    assert expected.value == (truth_["label"] == "present").mean()


def test_from_a_handful_of_audit_answers_no_chance_is_drawn(tmp_path) -> None:
    run = answered(tmp_path / "run", rounds=1, acquisition={"audit_share": 1.0})
    few = status(run)
    assert 0 < few.left.n_audit < 20
    assert curves_of(Survey.of(run), few).expected is None
    for _ in range(2):
        answer(run)
    enough = status(run)
    assert enough.left.n_audit >= 20
    assert curves_of(Survey.of(run), enough).expected == enough.left.prevalence


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0] * 70 + [0.5] * 10 + [1.0] * 20, {"share up to 0 %": 70, "share above 0 %": 30}),
        ([0.0] * 20 + [0.5] * 30 + [1.0] * 50, {"share up to 50 %": 50, "share 50 % to 100 %": 50}),
        ([0.0] * 100, {"share up to 0 %": 100}),
    ],
)
def test_no_patch_is_missing_where_many_have_one_value_of_a_concept(values, expected) -> None:
    concept = SimpleNamespace(unit="%")
    parts = {name: int(of.sum()) for name, of in _parts("share", concept, pd.Series(values))}
    assert parts == expected


@pytest.mark.parametrize("kind", ["str", "category"])
def test_no_patch_is_missing_where_a_concept_has_many_values(kind: str) -> None:
    counts = dict(zip("abcdefgh", range(9, 1, -1), strict=True))
    values = pd.Series(list("".join(name * n for name, n in counts.items())), dtype=kind)
    parts = {name: int(of.sum()) for name, of in _parts("cover", SimpleNamespace(), values)}
    frequent = {f"cover = {name}": n for name, n in counts.items() if n > 3}
    assert parts == {**frequent, "cover: 2 others": 5}
    few = values[values.isin(["a", "h"])]  # a category may have no patch
    parts = {name: int(of.sum()) for name, of in _parts("cover", SimpleNamespace(), few)}
    assert parts == {"cover = a": 9, "cover = h": 2}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 2.0, 3.0, None, None], {"c up to 2 m": 1, "c 2 m to 2 m": 1, "c above 2 m": 1}),
        ([None, None], {}),
        (["forest", "forest", None, None], {"c = forest": 2}),
    ],
)
def test_no_patch_is_missing_where_nothing_is_known_of_a_concept(values, expected) -> None:
    column = pd.Series(values, dtype=None if any(values) else float)
    parts = {name: int(of.sum()) for name, of in _parts("c", SimpleNamespace(unit="m"), column)}
    assert parts == {**expected, "c unknown": 2}


CURVES = Curves(
    (0, 1, 2, 3), (0, 1, 1, 3), None, "", (1, 2, 3), (0.4, 0.52, 0.98), "cross-validated"
)


def test_counts_are_marked_by_whole_numbers() -> None:
    for made, axes in ((discovery(CURVES, "present"), "xy"), (learning(CURVES), "x")):
        made.draw_without_rendering()
        for axis in axes:
            ticks = getattr(made.axes[0], f"get_{axis}ticks")()
            assert len(ticks) >= 3
            assert all(tick == round(tick) for tick in ticks)


@pytest.mark.parametrize("auc", [(0.4, 0.52, 0.98), (0.98, 0.5, 0.12)])
def test_legends_lie_on_no_line(auc: tuple[float, ...]) -> None:
    for made in (discovery(CURVES, "present"), learning(replace(CURVES, auc=auc))):
        made.draw_without_rendering()
        (panel,), (legend,) = made.axes, made.legends
        assert not panel.get_window_extent().overlaps(legend.get_window_extent())
        assert panel.get_legend() is None and not panel.texts


def test_the_same_run_gives_the_same_pictures(tmp_path) -> None:
    run = make(tmp_path / "run")
    owl_geo.query(run, device="cpu")
    one, other = (owl_geo.plot(run, tmp_path / name, device="cpu") for name in "xy")
    assert [path.name for path in one] == [path.name for path in other]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(one, other, strict=True))


def test_an_answer_is_drawn_where_its_patch_lies_in_its_label_s_colour(tmp_path) -> None:
    values = np.full((1, 64, 64), 5, dtype=np.uint8)
    path = write_raster(tmp_path / "s.tif", values)
    source = {"kind": "geotiff", "patch_size": 16, "scenes": [{"name": "s", "path": str(path)}]}
    run = owl_geo.init(tmp_path / "run", {"source": source, "loop": {"initial": 16}}).run
    owl_geo.query(run, device="cpu")
    label(run.batch_path(0), {"s/0/48": "present", "s/48/0": "absent"})
    owl_geo.ingest(run, [run.batch_path(0)], annotator="ana")
    owl_geo.plot(run, tmp_path / "plots")
    picture = np.asarray(Image.open(tmp_path / "plots" / "map_s.png").convert("RGB")).astype(int)
    map_ = picture[: picture.shape[1]]  # it is square, with the legend below
    for colour, corner in (((0xD5, 0x5E, 0x00), (0.2, 0.85)), ((0x56, 0xB4, 0xE9), (0.85, 0.15))):
        rows, cols = np.nonzero(np.abs(map_ - colour).max(axis=2) < 12)
        assert len(rows) > 50
        middle = np.median(rows) / len(map_), np.median(cols) / len(map_)
        assert middle == pytest.approx(corner, abs=0.09)
