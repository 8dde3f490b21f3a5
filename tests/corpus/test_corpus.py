"""A run has what the files say: the bands, positions, values and valid pixels of each layout."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from in_process import without_log
from layouts import PATCH, SIZE, Layout, Made
from numpy.typing import NDArray
from pyproj import Geod, Transformer
from registry import LAYOUTS

from owl_geo import Run
from owl_geo.cli import _run
from owl_geo.sources import unopened_source
from owl_geo.types import FloatArray

_LEAST = 0.1  # of a patch's pixels are valid


@dataclass(frozen=True)
class Case:
    """A layout as it was made, and the run that `init` made of it."""

    layout: Layout
    made: Made
    run: Run

    @cached_property
    def ids(self) -> list[str]:
        """The patches of the run."""
        return list(self.run.patches["patch_id"])

    @cached_property
    def windows(self) -> list[tuple[int, int]]:
        """The first row and column of each patch, by its name."""
        return [(int(i.split("/")[-2]), int(i.split("/")[-1])) for i in self.ids]

    def centres(self, row: int, col: int) -> NDArray[np.float64]:
        """Return x and y of a patch's pixels, ``(2, patch, patch)``, by the file's own grid."""
        rows, cols = np.mgrid[row : row + PATCH, col : col + PATCH] + 0.5
        return np.stack(self.made.grid.transform @ (cols, rows))


@dataclass
class Corpus:
    """Makes each layout, and a run of it, once."""

    folder: Path
    cases: dict[str, Case | str] = field(default_factory=dict)

    def __getitem__(self, layout: Layout) -> Case:
        if layout.name not in self.cases:
            self.cases[layout.name] = self._make(layout)
        case = self.cases[layout.name]
        if isinstance(case, str):
            pytest.fail(case)
        return case

    def _make(self, layout: Layout) -> Case | str:
        folder = self.folder / str(len(self.cases))
        folder.mkdir()
        made = layout.make(folder)
        words = ["init", str(folder / "run"), "--scene", made.scene, *layout.options]
        words += ["--patch-size", str(PATCH), "--min-valid", str(_LEAST), "-q"]
        err = io.StringIO()
        with without_log(), redirect_stdout(io.StringIO()), redirect_stderr(err):
            code = _run(words)
        return err.getvalue() if code else Case(layout, made, Run(folder / "run"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("corpus"))


each_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=str)


@each_layout
def test_bands_are_those_of_the_layout(layout: Layout, corpus: Corpus) -> None:
    case = corpus[layout]
    assert list(case.run.source.bands) == list(layout.bands)
    assert len(case.made.planes) == len(layout.bands)


@pytest.mark.parametrize("layout", [one for one in LAYOUTS if any(one.bands.values())], ids=str)
def test_a_common_name_means_the_right_band(layout: Layout, corpus: Corpus) -> None:
    case = corpus[layout]
    commons = {name: i for i, name in enumerate(layout.bands.values()) if name is not None}
    settings = case.run.settings_here.source.model_copy(update={"bands": tuple(commons)})
    source = unopened_source(settings).open()
    (patch,) = source.read(case.ids[-1:])
    _check_values(case, len(case.ids) - 1, patch, list(commons.values()))


@each_layout
def test_patches_lie_where_the_file_has_them(layout: Layout, corpus: Corpus) -> None:
    case = corpus[layout]
    table = gpd.read_parquet(case.run.path / "patches.parquet")
    corners = [(0, 0), (0, PATCH), (PATCH, PATCH), (PATCH, 0)]
    to_degrees = Transformer.from_crs(case.made.crs, "EPSG:4326", always_xy=True)
    from_run = Transformer.from_crs(table.crs, "EPSG:4326", always_xy=True)
    right = [
        to_degrees.transform(*(case.made.grid.transform @ (col + across, row + down)))
        for row, col in case.windows
        for down, across in corners
    ]
    footprints = [from_run.transform(*ring.exterior.coords.xy) for ring in table.geometry]
    if case.made.crs == "EPSG:4326" and case.made.grid.transform.c >= 180:  # where no map has it
        assert table.total_bounds[0] >= -180 and table.total_bounds[2] <= 180
    metres = _pixel_in_metres(case.made)
    for number, footprint in enumerate(footprints):
        lon, lat = np.array(footprint)[:, :4]
        for right_lon, right_lat in right[4 * number : 4 * number + 4]:
            off = Geod(ellps="WGS84").inv(lon, lat, np.full(4, right_lon), np.full(4, right_lat))[2]
            assert np.min(off) < 0.001 * metres
    assert {scene.rsplit("/", 2)[0] for scene in case.ids} == set(case.run.grids)


def _pixel_in_metres(made: Made) -> float:
    size = abs(made.grid.transform.a)
    return size if made.crs != "EPSG:4326" else 100_000 * size


@each_layout
def test_values_are_those_of_the_pixels_there(layout: Layout, corpus: Corpus) -> None:
    case = corpus[layout]
    for number, patch in enumerate(case.run.source.read(case.ids)):
        _check_values(case, number, patch, list(range(len(layout.bands))))


def _check_values(case: Case, number: int, patch: FloatArray, planes: list[int]) -> None:
    assert patch.shape == (len(planes), PATCH, PATCH)
    x, y = case.centres(*case.windows[number])
    valid = ~case.made.missing_at(x, y)
    for band, plane in enumerate(planes):
        right = case.made.planes[plane].values_at(x, y)
        known = valid & np.isfinite(right)
        assert known.sum() > 0.5 * valid.sum()
        # what lies between pixels is rounded to a number that the file's type can hold
        off = 0.51 if case.made.is_coarse(plane) else 0.02
        step = abs(case.made.planes[plane].scale)  # between neighbours in a row
        np.testing.assert_allclose(patch[band][known], right[known], rtol=2e-6, atol=off * step)


@each_layout
def test_pixels_are_valid_where_the_layout_says(layout: Layout, corpus: Corpus) -> None:
    case = corpus[layout]
    right = {}
    for row in range(0, SIZE, PATCH):
        for col in range(0, SIZE, PATCH):
            share = 1 - case.made.missing_at(*case.centres(row, col)).mean()
            if share >= _LEAST:
                right[row, col] = pytest.approx(share)
    shares = case.run.patches["valid_fraction"]
    assert dict(zip(case.windows, shares, strict=True)) == right
