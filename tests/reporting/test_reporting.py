"""The report and the pictures of a run: what they say is what the run holds."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from corners import answer, answered, truth, write_scenes
from PIL import Image
from report_page import Page
from searches import editing, label, make
from shapely.geometry import box

import owl_geo
from owl_geo import OwlError, Run
from owl_geo.cli import _run as owl
from owl_geo.evaluation.simulate import simulate
from owl_geo.labels import Answer
from owl_geo.reporting.colours import Stretch
from owl_geo.reporting.facts import facts
from owl_geo.reporting.sections.model import concepts
from owl_geo.reporting.survey import Survey
from owl_geo.reporting.words import ranking
from owl_geo.verbs.predict import predict
from owl_geo.verbs.status import status
from owl_geo.wording import three_digits

HOSTILE = ('<b>no</b> $\\frac "', "mine & <script>alert(1)</script>", "村 'x'")


@pytest.fixture(scope="module")
def corners(tmp_path_factory) -> Run:
    """A run over three scenes in two CRSs, two batches answered, one that waits."""
    run = answered(tmp_path_factory.mktemp("corners") / "run", rounds=2)
    owl_geo.query(run, device="cpu")
    return run


@pytest.fixture(scope="module")
def page(corners: Run, tmp_path_factory) -> Page:
    return Page(owl_geo.report(corners, tmp_path_factory.mktemp("page") / "r.html", device="cpu"))


# --- the report -----------------------------------------------------------------------------------


def test_it_says_what_status_says(corners: Run, page: Page, capsys) -> None:
    assert owl(["status", str(corners.path)]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert line[10:].strip() in page.text


def test_what_every_new_run_has_is_no_difference_from_the_defaults(page: Page) -> None:
    assert "What differs from the defaults" in page.text
    assert "audit_common" not in page.text


def test_beside_what_differs_from_the_defaults_nothing_else_is_listed(tmp_path: Path) -> None:
    run = answered(tmp_path / "run", acquisition={"strategy": "greedy"})
    changed = Page(owl_geo.report(run, tmp_path / "r.html", device="cpu")).text
    assert 'strategy = "greedy"' in changed
    assert "audit_common" not in changed


def test_headings_are_in_order_and_every_picture_has_words(page: Page) -> None:
    assert page.headings[0] == "h1"
    assert page.headings.count("h1") == 1
    levels = [int(heading[1]) for heading in page.headings]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.images
    assert all(alt.strip() for alt, _ in page.images)
    assert "script" not in page.tags


def test_the_table_names_the_most_probable_patches_that_are_not_answered(
    corners: Run, page: Page
) -> None:
    summary = predict(corners, device="cpu", out=corners.path.parent / "maps")
    parts = [pd.read_parquet(path) for path in (summary.folder / "patches").glob("*.parquet")]
    said = pd.concat(parts).set_index("patch_id")["probability"]
    said = said.drop(corners.labels.current()["patch_id"]).sort_values(ascending=False)
    after = page.text.partition("Longitude, latitude")[2]
    rows = re.findall(r"(\d+)([abc]/\d+/\d+)(0\.\d{3})(-?\d+\.\d{5}), (-?\d+\.\d{5})", after)
    assert [int(rank) for rank, *_ in rows] == list(range(1, 21))
    shown = np.array([float(probability) for _, _, probability, _, _ in rows])
    np.testing.assert_allclose(shown, said.iloc[:20], atol=0.0006)
    np.testing.assert_allclose(shown, said[[patch for _, patch, *_ in rows]], atol=0.0006)
    centre = corners.footprints([rows[0][1]]).iloc[0].centroid
    assert (float(rows[0][3]), float(rows[0][4])) == pytest.approx((centre.x, centre.y), abs=1e-5)


def test_the_pictures_of_patches_are_their_pixels(corners: Run, page: Page) -> None:
    patches = [(alt, data) for alt, data in page.images if " of patch " in alt]
    assert len(patches) == 24
    names = [alt.rpartition(" ")[2] for alt, _ in patches]
    of_all = corners.source.read(names).astype(float)
    usual = Stretch.of_statistics(corners.index.statistics)
    low = min(usual.low[0], np.percentile(of_all[:, 0], 2))
    high = max(usual.high[0], np.percentile(of_all[:, 0], 98))
    for pixels, (_, data) in zip(of_all, patches, strict=True):
        grey = np.rint(((pixels[0] - low) / (high - low)).clip(0, 1) * 255)
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(data))), np.repeat(grey[..., None], 3, axis=2)
        )


def test_maps_say_in_words_what_they_show(corners: Run, page: Page) -> None:
    labels = corners.labels.current()
    waiting = corners.rounds()[-1].patch_ids
    for scene in "abc":
        counts = labels["label"][labels["patch_id"].str.startswith(scene)].value_counts()
        (alt,) = [alt for alt, _ in page.images if alt.startswith(f"Map of scene {scene}. ")]
        for name, count in counts.items():
            assert f"{count} {name}" in alt
        open_ = sum(patch.startswith(scene) for patch in waiting)
        assert (f"{open_} of the last batch not answered" in alt) == (open_ > 0)


def test_it_takes_what_predict_has_left(corners: Run, tmp_path, monkeypatch) -> None:
    predict(corners, device="cpu")
    asked_anew = Survey.of(Run(corners.path)).opinion
    monkeypatch.setattr(
        "owl_geo.search.search.Search.members", lambda *_, **__: pytest.fail("it was asked again")
    )
    kept = Survey.of(Run(corners.path)).opinion
    np.testing.assert_array_equal(kept.probability, asked_anew.probability)
    assert kept.lacking == ""


def test_of_a_large_pool_no_more_is_asked_than_a_round_would(tmp_path) -> None:
    run = answered(tmp_path / "run", acquisition={"candidates": 100})
    opinion = Survey.of(run).opinion
    known = int(opinion.is_known.sum())
    assert 50 < known <= 100
    assert opinion.lacking == f"the model scored {known} of 432 patches"


@pytest.mark.parametrize("asked", [False, True])
def test_before_any_answer_there_is_a_report_too(asked: bool, tmp_path) -> None:
    run = make(tmp_path / "run")
    if asked:
        owl_geo.query(run, device="cpu")
    page = Page(owl_geo.report(run))
    assert "There are no predictions" in page.text
    assert ("Nothing has been asked yet" in page.text) == (not asked)
    assert len([alt for alt, _ in page.images if " of patch " in alt]) == (6 if asked else 0)
    names = {path.name for path in owl_geo.plot(run)}
    assert names == {
        f"{name}.{kind}"
        for name in ("discovery", "learning", "map_synthetic")
        for kind in ("png", "svg")
    }


def test_whatever_people_write_stays_text(tmp_path) -> None:
    scenes = write_scenes(tmp_path / "scenes", ("<i>a</i> $x$",))
    run = owl_geo.init(
        tmp_path / "run",
        {
            "source": {"kind": "geotiff", "patch_size": 8, "scenes": scenes},
            "classes": HOSTILE,
            "positive": HOSTILE[1],
            "loop": {"initial": 12, "batch_size": 6},
            "team": {"annotators": ["ana", "<u>ben"], "overlap": 1.0},
        },
    ).run
    entry = owl_geo.query(run, device="cpu")
    comment = "</td><img src=x onerror=alert(1)>\u202e"
    for who, path in run.batch_paths(entry).items():
        said = {p: HOSTILE[truth(p) == "present"] for p in entry.patch_ids}
        said[entry.patch_ids[0]] = HOSTILE[2] if who == "ana" else "unsure"
        label(path, said, who)
        with editing(path) as connection:
            connection.execute("UPDATE batch SET comment = ? WHERE rank = 2", [comment])
    owl_geo.ingest(run, list(run.batch_paths(entry).values()), annotator="x")
    page = Page(owl_geo.report(run))
    for text in (*HOSTILE, "<u>ben", "<i>a</i> $x$", comment.replace("\u202e", "\ufffd")):
        assert text in page.text
    assert not {"b", "i", "u", "script"} & set(page.tags)
    assert "1 patch is disputed and will be asked again" in page.text
    team = page.text.partition("The team")[2]
    assert team.startswith("12 patches were labelled by two or more. Fleiss' kappa is ")
    assert "<u>ben and ana1292 %" in team  # 11 of 12 the same
    assert {"discovery.png", "learning.svg"} <= {path.name for path in owl_geo.plot(run)}


def test_agreement_and_audit_are_said_in_words(tmp_path) -> None:
    run = make(tmp_path / "run", oracle={}, acquisition={"audit_share": 1.0}, loop={"rounds": 4})
    simulate(run)
    now, text = status(run), Page(owl_geo.report(run)).text
    assert now.left is not None and now.left.n_audit >= 20
    known = f"{100 * now.left.prevalence.value:.1f} %"
    assert known in text.partition("What the random audit says")[2]
    assert f"{now.left.n_found} have been found" in text
    truth = run.truth[~run.truth["held_out"]].set_index("patch_id")["label"]
    of_all = f"{now.labels['present']} of the {(truth == 'present').sum()} present in the pool"
    assert f"{of_all} have been found" in text
    assert "Agrees with the consensus" not in text  # there is one annotator alone
    assert "Ranges contain the truth" in text
    said = dict(facts(run, now))["Concepts"]
    for factor in now.relevance:
        assert f"x {factor.factor:.2g}" in text
        if factor.name == "land_cover=water":
            assert "land_cover is waterx 1" in text  # the row's first cells
            assert f"where land_cover is water, {factor.factor:.2g} times" in said
    assert re.match(r"where .+?, present is [\d.]+ times as likely \(odds\)\nwhere ", said)


def test_where_chance_drew_no_target_only_bounds_are_stated(tmp_path) -> None:
    loop, acquisition = {"initial": 30, "batch_size": 30}, {"audit_share": 1.0}
    run = make(tmp_path / "run", loop=loop, acquisition=acquisition)
    entry = owl_geo.query(run, device="cpu")
    (batch,) = run.batch_paths(entry).values()
    label(batch, dict.fromkeys(entry.patch_ids, "absent"))
    owl_geo.ingest(run, [batch], annotator="ana")
    now = status(run)
    assert now.left is not None and now.left.n_left == 50
    most, share = f"{now.left.left.high:.0f}", f"at most {now.left.left.high / 0.8:.1f} %"
    audit = dict(facts(run, now))["Audit"]
    assert f"present are {share} of the pool, at most {most} not found yet (95 %;" in audit
    page = Page(owl_geo.report(run)).text
    assert f"Of all patches, {share} are present" in page
    assert f"at most {most} more are left, and the chance that none is left is" in page
    audited = page.partition("What the random audit says")[2].partition("When to stop")[0]
    assert "about" not in audited
    assert f"A random search would have found at most {0.3 * now.left.left.high / 0.8:.1f}" in page


def test_a_handful_of_audit_answers_claims_nothing(tmp_path) -> None:
    run = make(tmp_path / "run", oracle={}, acquisition={"audit_share": 0.5})
    simulate(run)
    now, text = status(run), Page(owl_geo.report(run)).text
    assert now.left is not None and 0 < now.left.n_audit < 20
    said = dict(facts(run, now))
    assert "20 are needed to estimate how many present are left" in said["Audit"]
    assert "Quality" not in said
    assert "Once there are 20 such answers" in text
    assert "Ranges contain the truth" not in text
    assert "Of all patches" not in text and "Where the model predicted" not in text


def test_a_weight_of_0_leaves_the_bars_of_the_others_their_lengths(tmp_path) -> None:
    weights = {"urban": 0.0, "near_industrial": 3.0}
    run = make(tmp_path / "run", oracle={}, acquisition={"weights": weights}, loop={"rounds": 1})
    simulate(run, device="cpu")
    now = status(run)
    assert now.relevance[0].coefficient == -math.inf
    html = concepts(Survey.of(run, device="cpu"), now)
    odds = html[html.index("Odds") : html.index("</table>")]
    bars = [float(width) for width in re.findall(r"width: ([\d.]+)em", odds)]
    assert len(bars) == len(now.relevance) - 1
    assert max(bars) == 4
    assert "near_industrial" in odds


def test_how_well_the_model_ranks_is_said_in_words(tmp_path) -> None:
    run = make(tmp_path / "search", oracle={})
    simulate(run)
    now, page = status(run), Page(owl_geo.report(run))
    auc = now.model.test_auc
    said = (
        f"ranks a present patch above an absent one in {100 * auc:.0f} of 100 cases (AUC {auc:.2f}"
    )
    assert f"{said}, on held-out patches)" in dict(facts(run, now))["Model"]
    assert page.text.count(said) == 2  # where it stands, and how it went
    assert "loss" not in page.text
    several = tmp_path / "several"
    run = make(several, classes=["absent", "oil well", "present"], positive="oil well")
    row = replace(now.model, test_auc=math.nan, cv_auc=0.682)
    assert ranking(run, row) == (
        "ranks an oil well patch above any other in 68 of 100 cases (AUC 0.68, cross-validated)"
    )
    assert ranking(run, replace(row, cv_auc=math.nan)) == ""
    for auc, digits in ((0.9963, "0.996"), (0.99553, "0.996"), (0.99971, "0.999")):
        said = f"99 of 100 cases (AUC {digits}, "  # nearly all are not all
        assert said in ranking(run, replace(row, cv_auc=auc))
        assert three_digits(auc) == digits  # as tables have it
    assert "100 of 100 cases (AUC 1.00, " in ranking(run, replace(row, cv_auc=1.0))


def test_labels_that_no_round_has_learnt_from_are_told(tmp_path) -> None:
    run = answered(tmp_path / "run", rounds=2)
    said = dict(facts(run, status(run)))["Model"]
    assert said.startswith("round 1, fitted on 12 labels, not yet on the 6 since then; ")
    assert "a model that has learnt from all 18 labels." in Page(owl_geo.report(run)).text
    owl_geo.query(run, device="cpu")
    assert dict(facts(run, status(run)))["Model"].startswith("round 2, fitted on 18 labels; ")


def test_labels_that_changed_since_the_model_are_not_made_up_for_by_those_that_went(
    tmp_path,
) -> None:
    run = answered(tmp_path / "run", rounds=2)
    owl_geo.query(run, device="cpu")
    gone, changed, gone_too, other, *_ = run.labels.current()["patch_id"]
    fresh = run.rounds()[2].patch_ids[:2]
    label = dict(run.labels.current()[["patch_id", "label"]].to_numpy())
    swapped = "present" if label[changed] == "absent" else "absent"
    words = {gone: None, gone_too: None, changed: swapped, other: label[other]}
    words |= dict.fromkeys(fresh, "absent")
    who = run.labels.history()["annotator"].iloc[0]
    answers = [
        Answer(patch, word, who, "2027-01-01T10:00:00Z", "b", 2) for patch, word in words.items()
    ]
    run.labels.append(answers, run.footprints(list(words)))
    said = dict(facts(run, status(run)))["Model"]
    assert said.startswith("round 2, fitted on 18 labels, not yet on the 3 since then; ")


def test_the_title_is_what_is_searched_for_and_the_folder_stands_below(tmp_path) -> None:
    run = make(tmp_path / "search")
    text = owl_geo.report(run).read_text(encoding="utf-8")
    assert "<h1>Search for present</h1>" in text
    assert f"Folder: {tmp_path / 'search'}" in text


def test_doubt_is_a_share_and_distances_have_a_unit(tmp_path) -> None:
    scenes = write_scenes(tmp_path / "scenes", ("a",))
    with rasterio.open(scenes[0]["path"]) as scene:
        west, south, east, north = scene.bounds
        crs = scene.crs
    half = box(west, south, (west + east) / 2, north)
    gpd.GeoDataFrame({"use": ["pit"]}, geometry=[half], crs=crs).to_file(tmp_path / "land.gpkg")
    run = owl_geo.init(
        tmp_path / "run",
        {
            "source": {"kind": "geotiff", "patch_size": 8, "scenes": scenes},
            "layers": {"land": {"path": str(tmp_path / "land.gpkg")}},
            "concepts": {
                "to_pit": {"kind": "distance", "layer": "land"},
                "pit": {"kind": "share", "layer": "land"},
            },
            "loop": {"initial": 20},
        },
    ).run
    answer(run)
    text = Page(owl_geo.report(run)).text
    survey = Survey.of(run)
    doubt = survey.opinion.uncertainty[survey.most_doubtful(1)[0]]
    assert f"doubt {100 * doubt / math.log(2):.0f} %" in text
    cards = re.findall(r"to_pit: (\S+ ?m?); pit: (\d+ %)", text)
    assert len(cards) == 24
    place = survey.most_probable(1)[0]
    metres, share = run.patches.loc[place, ["to_pit", "pit"]]
    assert cards[0] == (f"{metres:,.0f} m", f"{100 * share:.0f} %")
    assert re.search(r"to_pit above \d+ m", text)
    # the model's mean is of what is left: it has learnt what the answered patches are
    far = run.patches["to_pit"] > np.quantile(run.patches["to_pit"], 2 / 3)
    is_open = ~run.patches["patch_id"].isin(survey.labels.index)
    mean = survey.opinion.probability[far & is_open].mean()
    assert (far & ~is_open).sum() > 0 and (far & is_open).any()
    assert re.search(rf"to_pit above \d+ m{far.sum():,}.+? of \d+{mean:.2f}", text)


def test_a_scene_that_is_gone_is_named_and_the_rest_is_shown(tmp_path, caplog) -> None:
    run = answered(tmp_path / "run", rounds=1)
    asked = {patch[0] for patch in run.rounds()[0].patch_ids}
    assert asked == {"a", "b", "c"}
    (tmp_path / "scenes" / "1.tif").rename(tmp_path / "elsewhere.tif")
    page = Page(owl_geo.report(Run(run.path)))
    assert "Scene b cannot be read" in page.text
    assert {alt[13] for alt, _ in page.images if alt.startswith("Map of scene")} == {"a", "b", "c"}
    backgrounds = re.findall(r"([abc]): [^:]*? (Background|No background): ", page.text)
    assert dict(backgrounds) == {"a": "Background", "b": "No background", "c": "Background"}


def test_files_that_exist_are_replaced_on_request_only(tmp_path) -> None:
    run = make(tmp_path / "run")
    assert owl_geo.report(run) == run.path / "report.html"
    assert owl_geo.report(run) == run.path / "report.html"
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    with pytest.raises(OwlError, match=r"mine.html exists; choose another name, or use --overwr"):
        owl_geo.report(run, mine)
    assert mine.read_text() == "mine"
    owl_geo.report(run, mine, overwrite=True)
    assert mine.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(OwlError, match="is a folder; name a file in it"):
        owl_geo.report(run, tmp_path)
    assert not list(tmp_path.glob(".*partial*"))


def test_the_commands_print_what_they_wrote(tmp_path, capsys) -> None:
    run = make(tmp_path / "run")
    assert owl(["report", str(run.path), "-q"]) == 0
    assert capsys.readouterr().out == f"{run.path / 'report.html'}\n"
    assert owl(["plot", str(run.path), "--out", str(tmp_path / "pictures"), "-q"]) == 0
    written = capsys.readouterr().out.splitlines()
    assert written[0] == str(tmp_path / "pictures" / "discovery.png")
    assert all(Path(line).stat().st_size for line in written)
    assert owl(["report", str(run.path), "--out", str(tmp_path / "pictures")]) == 1


def test_a_search_with_three_classes_names_the_most_probable_one(tmp_path) -> None:
    scenes = write_scenes(tmp_path / "scenes", ("a",))
    run = owl_geo.init(
        tmp_path / "run",
        {
            "source": {"kind": "geotiff", "patch_size": 8, "scenes": scenes},
            "classes": ["absent", "present", "other"],
            "loop": {"initial": 20},
        },
    ).run
    answer(run)
    text = Page(owl_geo.report(run)).text
    assert "most probably present" in text
