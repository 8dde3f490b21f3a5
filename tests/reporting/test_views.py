"""The views of patches in the report: the same ground, read onto the patch's own grid."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from corners import write_scenes
from PIL import Image
from rasters import coordinates, write_raster
from report_page import Page

import owl_geo
from owl_geo import Run
from owl_geo.reporting.colours import Stretch
from owl_geo.reporting.gallery import pixels_of
from owl_geo.reporting.survey import Survey
from owl_geo.reporting.views import views_of


def make(path: Path, views: dict[str, Any] | None, names: tuple[str, ...] = ("a", "b", "c")) -> Run:
    settings = {
        "source": {
            "kind": "geotiff",
            "patch_size": 8,
            "scenes": write_scenes(path.parent / "scenes", names),
        },
        "loop": {"initial": 12},
        "seed": 3,
    }
    return owl_geo.init(path, settings | ({"views": views} if views else {})).run


def scene(path: Path) -> dict[str, str]:
    return {"name": path.stem, "path": str(path)}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A run over the scenes a, b and c of ``write_scenes``, with two views.

    `before` covers a on its own grid, then a and half of b with pixels of 20 m, in other units.
    `height` covers c alone, in degrees, with a strip without data.
    """
    folder = tmp_path_factory.mktemp("views")
    same = write_raster(folder / "same.tif", coordinates(96, 96))
    coarse = write_raster(
        folder / "coarse.tif",
        coordinates(98, 24, dtype="float32"),
        pixel=20,
        scales=(0.5,) * 3,
        offsets=(-1.0,) * 3,
        descriptions=("red", "green", "blue"),
    )
    west, south, east, north = rasterio.warp.transform_bounds(
        "EPSG:32632", "EPSG:4326", 200_000, 5_696_000, 202_000, 5_699_000
    )
    height = write_raster(
        folder / "height.tif",
        np.full((1, 40, 40), 5, np.int16),
        crs="EPSG:4326",
        transform=rasterio.transform.from_bounds(west, south, east, north, 40, 40),
    )
    views = {
        "before": {"scenes": [scene(same), scene(coarse)]},
        "height_and_more": {"scenes": [scene(height)]},
    }
    run = make(folder / "run", views)
    owl_geo.query(run, device="cpu")
    return run


@pytest.fixture(scope="module")
def survey(run: Run) -> Survey:
    return Survey.of(run)


def positions(run: Run, *patches: str) -> list[int]:
    ids = run.patches["patch_id"].tolist()
    return [ids.index(patch) for patch in patches]


def test_a_view_is_read_where_the_patch_lies(run: Run, survey: Survey) -> None:
    at = positions(run, "a/16/40", "b/40/8", "b/0/80", "c/8/8")
    before, height = views_of(survey, [*at, at[0]])
    assert (before.name, height.name) == ("before", "height_and_more")
    assert sorted(before.values) == sorted(at[:2])
    # the first raster comes first where both have something
    np.testing.assert_array_equal(before.values[at[0]], coordinates(96, 96)[:, 16:24, 40:48])
    # b begins 1000 m south of a, which is the 50th row of 20 m; inside, bilinear is exact
    rows, cols = (np.arange(8) + np.array([[40], [8]]) + 0.5) * 0.5 + np.array([[50], [0]]) - 0.5
    np.testing.assert_allclose(before.values[at[1]][0], (rows * 0.5 - 1)[:, None] + np.zeros(8))
    np.testing.assert_allclose(before.values[at[1]][1], (cols * 0.5 - 1)[None] + np.zeros((8, 1)))
    assert list(height.values) == [at[3]]
    assert (height.values[at[3]] == 5).all()
    assert height.rgb(at[0]) is None


def test_where_a_view_ends_within_a_patch_the_rest_is_grey(run: Run, survey: Survey) -> None:
    (at,) = positions(run, "b/40/40")  # columns 40 to 48, and the coarse raster ends at 48
    (past,) = positions(run, "b/40/48")
    (before, _) = views_of(survey, [at, past])
    assert np.isfinite(before.values[at]).all()
    assert past not in before.values
    before.values[at][:, :, 5:] = np.nan
    picture = before.rgb(at)
    assert (picture[:, 5:] == 217).all()
    assert not (picture[:, :5] == 217).all(axis=2).any()


def test_the_gallery_has_them_beside_the_scene(run: Run, survey: Survey) -> None:
    page = Page(owl_geo.report(run, device="cpu"))
    asked = survey.positions(list(survey.waiting)).tolist()
    views = {view.name: view for view in views_of(survey, asked)}
    shown = [(alt, data) for alt, data in page.images if " of patch " in alt]
    of_views = [(alt, data) for alt, data in shown if alt.startswith("View ")]
    n = sum(len(view.values) for view in views.values())
    assert 0 < len(of_views) == n < 24
    assert page.text.count("not covered") == 24 - n
    assert "the run's views (before, height_and_more)" in page.text
    ids = run.patches["patch_id"].tolist()
    for alt, data in of_views:
        name, _, patch = alt.removeprefix("View ").partition(" of patch ")
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(data))), views[name].rgb(ids.index(patch))
        )


def test_ground_that_has_not_changed_looks_the_same(tmp_path: Path) -> None:
    (entry, *_) = write_scenes(tmp_path / "scenes", ("a",))
    with rasterio.open(entry["path"]) as dataset:
        values = dataset.read()
    # another sensor: other units, and one place that is bright now was dark
    values = values * 30 + 700
    values[:, 16:24, 16:24] = 700
    old = write_raster(tmp_path / "old.tif", values)
    run = make(tmp_path / "run", {"before": {"scenes": [scene(old)]}}, ("a",))
    survey = Survey.of(run)
    at = positions(run, "a/16/16", "a/8/8", "a/64/64")
    pixels = pixels_of(survey, at)
    usual = Stretch.of_statistics(run.index.statistics)
    stretch = usual.widened(Stretch.of_pixels(np.concatenate([*pixels.values()], axis=2)))
    (before,) = views_of(survey, at)
    seen = [stretch.to_rgb(pixels[one], (0, 0, 0)).astype(int) for one in at]
    change = [abs(one - before.rgb(p)).mean() for one, p in zip(seen, at, strict=True)]
    assert change[0] > 100
    assert max(change[1:]) < 12


def test_a_view_that_cannot_be_read_is_left_out(run: Run, survey: Survey, caplog) -> None:
    height = run.path.parent / "height.tif"
    at = positions(run, "a/16/40", "c/8/8")
    away = height.rename(height.with_suffix(".away"))
    try:
        before, gone = views_of(survey, at)
    finally:
        away.rename(height)
    assert list(before.values) == at[:1]
    assert gone.values == {}
    assert "view 'height_and_more': height is not shown" in caplog.text


def test_without_views_the_report_is_as_it_was(tmp_path: Path) -> None:
    run = make(tmp_path / "run", None)
    owl_geo.query(run, device="cpu")
    page = Page(owl_geo.report(run, device="cpu"))
    html = (run.path / "report.html").read_text(encoding="utf-8")
    gallery = html.partition("Patches to look at")[2].partition("</section>")[0]
    assert 'class="chips"' in gallery
    assert "<figure" not in gallery and "the run's views" not in page.text
