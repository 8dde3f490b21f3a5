"""Searches over ground that several scenes show: each place is there, held out and asked once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from pyproj import CRS

from owl_geo import Run, import_answers, init, like, query
from owl_geo.cli import _run as owl
from owl_geo.errors import BatchError, RunError
from owl_geo.labels.exchange import write_answers
from owl_geo.reporting.curves import curves_of
from owl_geo.reporting.facts import facts
from owl_geo.reporting.survey import Survey
from owl_geo.types import Answer, AnyArray
from owl_geo.verbs.add import add
from owl_geo.verbs.status import status
from owl_geo.verbs.update import update

PIXELS, SIZE = 96, 8
N = (PIXELS // SIZE) ** 2
X, Y = 500_000, 5_000_000


def scene(
    path: Path,
    x: float = X,
    y: float = Y,
    *,
    crs: str = "EPSG:32631",
    pixel: float = 10,
    valid: AnyArray | None = None,
) -> Path:
    """A scene of noise; pixels that are not ``valid`` are no data."""
    path.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(len(path.stem))
    values = rng.integers(1, 4000, (3, PIXELS, PIXELS)).astype(np.uint16)
    values[:, ~(np.ones((PIXELS, PIXELS), bool) if valid is None else valid)] = 0
    profile = {"height": PIXELS, "width": PIXELS, "count": 3, "dtype": "uint16", "nodata": 0}
    grid = rasterio.Affine(pixel, 0, x, 0, -pixel, y)
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=grid, **profile) as file:
        file.write(values)
    return path


def truth(folder: Path) -> Path:
    """Classes of squares of 8 pixels over all of the ground, by dice."""
    rng = np.random.default_rng(5)
    values = np.kron(rng.random((60, 60)) < 0.3, np.ones((8, 8))).astype(np.uint8)
    grid = rasterio.Affine(10, 0, X - 1600, 0, -10, Y + 1600)
    with rasterio.open(
        folder / "truth.tif", "w", driver="GTiff", crs="EPSG:32631", transform=grid, height=480,
        width=480, count=1, dtype="uint8",
    ) as file:  # fmt: skip
        file.write(values[None])
    return folder / "truth.tif"


def settings(scenes: Sequence[Path], **tables: Any) -> dict[str, Any]:
    source = {
        "kind": "geotiff",
        "scenes": [{"name": path.stem, "path": str(path)} for path in scenes],
        "patch_size": SIZE,
        **tables.pop("source", {}),
    }
    return {"source": source, "loop": {"initial": 8, "batch_size": 8, "rounds": 3}, **tables}


def with_oracle(folder: Path, scenes: Sequence[Path], **tables: Any) -> dict[str, Any]:
    oracle = {"path": str(truth(folder)), "values": {"present": ["1"]}}
    return settings(scenes, oracle=oracle, **tables)


def shares(run: Run, one: Sequence[str], other: Sequence[str]) -> AnyArray:
    """What each patch of one list shares with each of the other, in units of a patch."""
    local = CRS.from_dict({"proj": "laea", "lon_0": 3, "lat_0": 45.1, "datum": "WGS84"})
    polygons = [
        run.footprints(list(ids)).to_crs(local).to_numpy(dtype=object) for ids in (one, other)
    ]
    common = shapely.area(shapely.intersection(polygons[0][:, None], polygons[1][None, :]))
    return np.asarray(common / 80**2)


def asked(run: Run) -> list[str]:
    return [patch for entry in run.rounds() for patch in entry.patch_ids]


def check(run: Run) -> None:
    """No place is asked twice, none is held out and asked, none is tested twice."""
    ids = asked(run)
    twice = shares(run, ids, ids) - np.eye(len(ids))
    assert twice.max() < 0.5
    assert run.truth is not None
    table = run.truth
    tested, pool = table["patch_id"][table["tested"]], table["patch_id"][~table["held_out"]]
    assert len(tested) >= 5
    assert shares(run, list(tested), list(pool)).max() < 1e-3
    assert set(ids) <= set(pool)
    of_tested = shares(run, list(tested), list(tested))
    assert (of_tested - np.eye(len(tested))).max() < 0.5


@pytest.fixture
def dates(tmp_path: Path) -> list[Path]:
    return [scene(tmp_path / name) for name in ("may.tif", "june.tif")]


def test_two_dates_are_searched_as_one(dates: list[Path], tmp_path: Path) -> None:
    one = init(tmp_path / "one", with_oracle(tmp_path, dates[:1])).run
    both = init(tmp_path / "both", with_oracle(tmp_path, dates))
    assert "june: 0 of 144 windows kept, 144 of places seen in another scene" in both.scenes[1]
    pd.testing.assert_frame_equal(one.patches, both.run.patches)
    assert one.truth is not None and both.run.truth is not None
    pd.testing.assert_frame_equal(one.truth, both.run.truth)
    assert owl(["run", str(both.run.path), "-q"]) == 0
    check(Run(both.run.path))


@pytest.mark.parametrize("split", ["blocks", "random"])
@pytest.mark.parametrize("strides", [None, 4])
def test_dates_that_are_kept_are_asked_once(
    split: str, strides: int | None, dates: list[Path], tmp_path: Path
) -> None:
    source = {"same_ground": "keep"} | ({"stride": strides} if strides else {})
    made = with_oracle(tmp_path, dates, source=source, evaluation={"split": split})
    summary = init(tmp_path / "r", made)
    run = summary.run
    assert run.truth is not None
    neither = int((run.truth["held_out"] & ~run.truth["tested"]).sum())
    assert summary.truth[3].startswith(f"neither: {neither} patches ")
    assert len(run.patches) == 2 * (N if strides is None else 23**2)
    assert owl(["run", str(run.path), "-q"]) == 0
    again = Run(run.path)
    if strides is None:
        check(again)
        assert again.rounds()[0].metrics.n_pool <= N
    assert again.truth is not None
    kept = again.truth[~again.truth["held_out"]]["patch_id"]
    tested = again.truth[again.truth["tested"]]["patch_id"]
    assert shares(again, list(tested), list(kept)).max() < 1e-3
    names = pd.Series(asked(again)).str.split("/", n=1).str[1]
    assert not names.duplicated().any()


def test_what_is_said_of_kept_dates_counts_places(dates: list[Path], tmp_path: Path) -> None:
    """Each of the 144 places is there twice: as targets and as patches asked it counts once."""
    made = init(tmp_path / "r", with_oracle(tmp_path, dates, source={"same_ground": "keep"}))
    assert owl(["run", str(made.run.path), "-q"]) == 0
    run = Run(made.run.path)
    table = run.truth
    assert table is not None and len(table) == 2 * N
    of_pool = table[~table["held_out"]]
    square = of_pool["patch_id"].str.partition("/")[2]
    targets = square[of_pool["label"] == "present"].nunique()  # both dates have the same truth
    places = square.nunique()
    share = f"{100 * targets / places:.1f}"
    assert made.truth[1] == (
        f"of these, one for each place: {places} patches: absent: {places - targets} "
        f"({100 * (1 - targets / places):.1f} %), present: {targets} ({share} %)"
    )
    found = int((run.labels.current()["label"] == "present").sum())
    n_asked, tested = len(asked(run)), int(table["tested"].sum())
    said = dict(facts(run, status(run)))
    assert said["Truth"].startswith(f"{found} of the {targets} present in the pool ha")
    assert said["Patches"] == (
        f"288, {N - tested - n_asked} may still be asked, {tested} held out, {tested} more on "
        f"their ground, {N - tested} of places that are asked in another scene"
    )
    expected = curves_of(Survey.of(run, device="cpu"), status(run)).expected
    assert expected is not None
    assert expected.value == pytest.approx(targets / places)


def test_the_scene_that_shows_a_place_best_gives_it(tmp_path: Path) -> None:
    half = np.ones((PIXELS, PIXELS), dtype=bool)
    half[:, :48] = False
    half[0, 50] = False  # of a patch of 64 pixels, one
    left = scene(tmp_path / "s_2020-05-01.tif", valid=half)
    old = scene(tmp_path / "s_2019-05-01.tif")
    new = scene(tmp_path / "s_2021-05-01.tif", valid=~half | (np.arange(PIXELS) < 72)[:, None])
    run = init(tmp_path / "r", settings([left, old, new])).run
    rows = run.patches
    best = rows.groupby(["row_off", "col_off"])["scene"].agg(list).map(lambda each: each[0])
    assert len(rows) == len(best) == N
    grid = best.unstack().to_numpy()
    assert (grid[:9] == "s_2021-05-01").all()  # whole, and the newest that is
    assert (grid[9:, 6:] == "s_2020-05-01").all()  # whole too, and newer than 2019
    assert (grid[9:, :6] == "s_2021-05-01").all()
    first = init(tmp_path / "f", settings([left, old], source={"same_ground": "first"})).run
    counts = first.patches["scene"].value_counts()
    assert counts.to_dict() == {"s_2020-05-01": N // 2, "s_2019-05-01": N // 2}


def test_tiles_of_two_zones_share_their_overlap(tmp_path: Path) -> None:
    """At 6 degrees east, where zone 31 meets zone 32."""
    a = scene(tmp_path / "west.tif", 736_000, 4_987_000)
    b = scene(tmp_path / "east.tif", 263_700, 4_987_000, crs="EPSG:32632")
    made = init(tmp_path / "r", settings([a, b]))
    run = made.run
    assert made.crs == "2 CRSs, footprints in EPSG:4326"
    counts = run.patches["scene"].value_counts()
    assert counts["west"] == N
    assert 0 < counts["east"] < N
    ids = [list(run.patches["patch_id"][run.patches["scene"] == name]) for name in ("west", "east")]
    assert shares(run, *ids).max() < 0.51


def test_a_scene_over_answered_ground_brings_nothing_that_is_asked_again(tmp_path: Path) -> None:
    first = scene(tmp_path / "a.tif")
    made = with_oracle(tmp_path, [first])
    run = init(tmp_path / "r", made).run
    assert owl(["run", str(run.path), "-q"]) == 0
    before = asked(Run(run.path))
    beside = scene(tmp_path / "bb.tif", X + 500, Y - 230)  # half of it on the first
    done = add(run.path, [str(beside), str(scene(tmp_path / "ccc.tif"))])
    assert "ccc: 0 of 144 windows kept, 144 of places seen in another scene" in done.scenes[1]
    assert "of places seen in another scene" in done.scenes[0]
    toml = (run.path / "owl.toml").read_text()
    (run.path / "owl.toml").write_text(toml.replace("rounds = 3", "rounds = 6"))
    assert owl(["run", str(run.path), "-q"]) == 0
    grown = Run(run.path)
    assert asked(grown)[: len(before)] == before
    assert {patch.split("/")[0] for patch in asked(grown)} == {"a", "bb"}
    check(grown)
    assert grown.index.parts == (N, len(grown.patches))
    truth_before, patches = grown.truth, grown.patches
    update(run.path)  # draws the same again
    pd.testing.assert_frame_equal(Run(run.path).patches, patches)
    pd.testing.assert_frame_equal(Run(run.path).truth, truth_before)
    assert Run(run.path).index.parts == grown.index.parts


def test_an_update_never_loses_what_was_answered(dates: list[Path], tmp_path: Path) -> None:
    run = init(tmp_path / "r", settings(dates, source={"same_ground": "keep"})).run
    chosen = ["may/0/0", "june/0/0", "june/8/8", "june/16/16"]
    run.labels.append(
        [Answer(patch, "absent", "ana", "2026-01-01T00:00:00Z", "x", 0) for patch in chosen],
        run.footprints(chosen),
    )
    path = run.path / "owl.toml"
    path.write_text(path.read_text().replace('same_ground = "keep"', 'same_ground = "best"'))
    update(run.path)
    rows = Run(run.path).patches
    assert set(chosen) <= set(rows["patch_id"])
    assert len(rows) == N + 1  # one place was answered under both names
    free = Run(run.path).askable(Run(run.path).labels.current())
    assert free.sum() == N - 3


@pytest.mark.parametrize("suffix", [".gpkg", ".csv"])
def test_answers_go_to_the_same_place_of_another_run(suffix: str, tmp_path: Path) -> None:
    old = init(tmp_path / "old", settings([scene(tmp_path / "s.tif")])).run
    names = ["s/0/0", "s/40/16", "s/88/88"]
    answers = pd.DataFrame({"patch_id": names, "label": ["present", "absent", "unsure"]})
    answers = answers.assign(annotator="ana", labelled_at="2026-01-01T00:00:00Z")
    path = tmp_path / f"answers{suffix}"
    write_answers(path, answers, old.footprints(names))
    # a scene of that name two patches to the right and one below: the first lies beyond it
    moved = scene(tmp_path / "moved" / "s.tif", X + 160, Y - 80)
    new = init(tmp_path / "new", settings([moved])).run
    done = import_answers(new, path, annotator="ben")
    assert (done.new, done.elsewhere) == (2, 1)
    history = Run(new.path).labels.history()
    labels = dict(zip(history["patch_id"], history["label"], strict=True))
    assert labels == {"s/32/0": "absent", "s/80/72": "unsure"}
    assert import_answers(new, path, annotator="ben").new == 0
    # a quarter of a patch away it is the same place; the same name is not
    shifted = init(tmp_path / "t", settings([scene(tmp_path / "t.tif", X - 20, Y + 20)])).run
    assert import_answers(shifted, path, annotator="ben").new == 3
    assert set(Run(shifted.path).labels.history()["patch_id"]) == {"t/0/0", "t/40/16", "t/88/88"}
    # patches of a quarter of the size show less than what was looked at
    small = init(tmp_path / "small", settings([scene(tmp_path / "u.tif", pixel=5)])).run
    with pytest.raises(BatchError, match=r"of about its size; import them into a run"):
        import_answers(small, path, annotator="ben")
    far = init(tmp_path / "far", settings([scene(tmp_path / "away" / "s.tif", X + 50_000)])).run
    with pytest.raises(BatchError, match="no answer lies on a patch"):
        import_answers(far, path, annotator="ben")
    assert Run(far.path).labels.history().empty


def in_pieces(outline: shapely.Polygon) -> shapely.Polygon:
    """An outline with points along its edges, the first of which is no corner."""
    points = shapely.get_coordinates(shapely.segmentize(outline, 20))[:-1]
    return shapely.Polygon(np.roll(points, 2, axis=0))


@pytest.mark.parametrize(
    "saved",
    [
        lambda outline: shapely.MultiPolygon([outline]),
        lambda outline: shapely.segmentize(outline, 20),
        in_pieces,
        shapely.reverse,
        shapely.force_3d,
    ],
    ids=["as multipolygons", "with more points", "from within an edge", "reversed", "with heights"],
)
@pytest.mark.parametrize("suffix", ["gpkg", "csv"])
def test_answers_that_another_program_saved_keep_their_places(
    saved: Callable[[shapely.Polygon], shapely.Geometry], suffix: str, tmp_path: Path
) -> None:
    run = init(tmp_path / "r", settings([scene(tmp_path / "s.tif")])).run
    ids = ["s/0/16", "s/40/32"]
    outlines = run.footprints(ids).map(saved)
    table = gpd.GeoDataFrame({"patch_id": ids, "label": "present"}, geometry=outlines.array)
    path = tmp_path / f"saved.{suffix}"
    if suffix == "csv":
        in_degrees = table.set_crs(run.crs).to_crs(4326)
        pd.DataFrame(in_degrees.assign(WKT=in_degrees.geometry.to_wkt())).drop(
            columns="geometry"
        ).to_csv(path, index=False)
    else:
        table.set_crs(run.crs).to_file(path, layer="labels")
    # scenes of the same name, two patches to the west and 50 km away
    beside = init(tmp_path / "w", settings([scene(tmp_path / "west" / "s.tif", X - 160)])).run
    assert import_answers(beside, path, annotator="ben").new == 2
    assert set(Run(beside.path).labels.history()["patch_id"]) == {"s/0/32", "s/40/48"}
    far = init(tmp_path / "far", settings([scene(tmp_path / "away" / "s.tif", X + 50_000)])).run
    with pytest.raises(BatchError, match="no answer lies on a patch"):
        import_answers(far, path, annotator="ben")


def test_the_batch_of_a_kept_pool_is_repeatable(dates: list[Path], tmp_path: Path) -> None:
    batches = []
    for name in ("a", "b"):
        run = init(tmp_path / name, settings(dates, source={"same_ground": "keep"})).run
        batches.append(query(run).patch_ids)
    assert batches[0] == batches[1]


@pytest.mark.parametrize("suffix", ["gpkg", "csv"])
def test_answers_at_points_keep_their_places(suffix: str, tmp_path: Path) -> None:
    run = init(tmp_path / "r", settings([scene(tmp_path / "s.tif")])).run
    ids = ["s/0/16", "s/40/32"]
    outlines = run.footprints(ids)
    west, south, _, _ = outlines.bounds.T.to_numpy()
    within = np.array([40, 5])  # metres: a centre, and near a corner
    points = shapely.points(west + within, south + within)
    table = gpd.GeoDataFrame({"patch_id": ids, "label": "present"}, geometry=points, crs=run.crs)
    path = tmp_path / f"saved.{suffix}"
    if suffix == "csv":
        in_degrees = table.to_crs(4326)
        pd.DataFrame(in_degrees.assign(wkt=in_degrees.geometry.to_wkt())).drop(
            columns="geometry"
        ).to_csv(path, index=False)
    else:
        table.to_file(path, layer="labels")
    assert import_answers(run, path, annotator="ben").new == 2
    assert set(Run(run.path).labels.history()["patch_id"]) == set(ids)
    # a scene of the same name, two patches to the west: the second point lies between four patches
    beside = init(tmp_path / "w", settings([scene(tmp_path / "west" / "s.tif", X - 160)])).run
    done = import_answers(beside, path, annotator="ben")
    assert (done.new, done.elsewhere) == (1, 1)
    assert set(Run(beside.path).labels.history()["patch_id"]) == {"s/0/32"}
    far = init(tmp_path / "far", settings([scene(tmp_path / "away" / "s.tif", X + 50_000)])).run
    with pytest.raises(BatchError, match="no answer lies on a patch"):
        import_answers(far, path, annotator="ben")


def test_an_update_leaves_answers_on_their_ground(tmp_path: Path) -> None:
    """A patch is named by its scene, and owl.toml says what that is called."""
    places = [scene(tmp_path / "one.tif"), scene(tmp_path / "two.tif", X + 5000)]
    run = init(tmp_path / "run", settings(places)).run
    names = ["one/0/0", "two/40/16"]
    run.labels.append(
        [Answer(patch, "absent", "ana", "2026-01-01T00:00:00Z", "x", 0) for patch in names],
        run.footprints(names),
    )
    toml = run.path / "owl.toml"
    text = toml.read_text()
    swapped = text.replace("one.tif", "x.tif").replace("two.tif", "one.tif")
    toml.write_text(swapped.replace("x.tif", "two.tif"))
    with pytest.raises(RunError, match=r"2 patches .* would be on other ground with these scenes"):
        update(run.path)
    toml.write_text(text)
    before = Run(run.path).footprints(names)
    scene(tmp_path / "two.tif", X + 5000 + 60)
    with pytest.raises(RunError, match=r"1 patch that .* example two/40/16, would be on other"):
        update(run.path)
    scene(tmp_path / "two.tif", X + 5000 + 20)  # most of each patch is what it was
    update(run.path)
    after = Run(run.path).footprints(names)
    assert after.iloc[0].equals(before.iloc[0])
    assert after.iloc[1].intersection(before.iloc[1]).area / before.iloc[1].area > 0.7


def test_like_lists_a_place_once(dates: list[Path], tmp_path: Path) -> None:
    """Of several images of it the one most alike, and not the place that was named."""
    source = {"same_ground": "keep"}
    run = init(tmp_path / "run", settings(dates, source=source)).run
    n = len(run.patches) // 2
    found = like(run, ["may/8/8"], unlike=["june/16/16"], count=2 * n).places
    places = found["patch_id"].str.partition("/")[2]
    assert len(found) == n - 2
    assert places.is_unique and not places.isin(["8/8", "16/16"]).any()
    assert (np.diff(found["likeness"]) <= 0).all()
    assert found["rank"].tolist() == list(range(1, n - 1))
    assert set(found["scene"]) == {"may", "june"}


def test_an_answer_to_a_place_under_another_name_is_one_to_a_batch(tmp_path: Path) -> None:
    """Of the dates that show a place, a batch asks for one; others may have answered another."""
    dates = [scene(tmp_path / f"s/{name}.tif") for name in ("one", "other")]
    run = init(tmp_path / "run", settings(dates, source={"same_ground": "keep"})).run
    asked = query(run).patch_ids
    twins = [
        patch.replace("one/", "x/").replace("other/", "one/").replace("x/", "other/")
        for patch in asked
    ]
    labels = ["absent", "present"] * (len(asked) // 2)
    for n in (len(asked) - 1, len(asked)):
        path = tmp_path / "answers.csv"
        pd.DataFrame({"patch_id": twins[:n], "label": labels[:n]}).to_csv(path, index=False)
        import_answers(run, path, annotator="ana")
        assert bool(run.waiting()) == (n < len(asked))
    assert not {*query(run).patch_ids} & {*asked, *twins}
