"""Properties of a scene's pixel grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_grids import scene_grids

from owl_geo.ground.grid import bounds, refined, to_xy
from owl_geo.types import SceneGrid


@settings(deadline=None)
@given(scene_grids())
def test_bounds_are_those_of_the_whole_scene(grid: SceneGrid) -> None:
    row = np.array([0.0, 0, grid.height, grid.height, grid.height / 3])
    col = np.array([0.0, grid.width, 0, grid.width, grid.width / 7])
    xy = to_xy(grid, row, col)
    x_min, y_min, x_max, y_max = bounds(grid)
    assert (xy[:, 0].min(), xy[:, 1].min()) == pytest.approx((x_min, y_min))
    assert (xy[:, 0].max(), xy[:, 1].max()) == pytest.approx((x_max, y_max))


@settings(deadline=None)
@given(scene_grids(), st.integers(1, 8), st.floats(0, 300), st.floats(0, 300))
def test_a_refined_grid_covers_the_same_ground(
    grid: SceneGrid, factor: int, row: float, col: float
) -> None:
    fine = refined(grid, factor)
    assert (fine.height, fine.width) == (grid.height * factor, grid.width * factor)
    here = to_xy(grid, np.array(row), np.array(col))
    assert to_xy(fine, np.array(row * factor), np.array(col * factor)) == pytest.approx(
        here, rel=1e-9, abs=1e-6
    )
