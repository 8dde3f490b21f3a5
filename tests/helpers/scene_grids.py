"""Strategies for the pixel grids of scenes."""

from __future__ import annotations

from hypothesis import strategies as st

from owl_geo.types import SceneGrid

LENGTHS = st.integers(1, 300)
UTM = "EPSG:32631"


@st.composite
def scene_grids(draw: st.DrawFn, name: str = "s") -> SceneGrid:
    """Any invertible grid: north-up, south-up, rotated, sheared."""
    terms = st.floats(-100, 100, allow_nan=False, width=32)
    a, b, d, e = draw(
        st.one_of(
            st.sampled_from(
                [(10.0, 0.0, 0.0, -10.0), (10.0, 0.0, 0.0, 10.0)]
            ),  # north-up, south-up
            st.tuples(terms, terms, terms, terms),
        ).filter(lambda t: abs(t[0] * t[3] - t[1] * t[2]) > 1e-2)
    )
    c, f = draw(st.floats(-1e7, 1e7)), draw(st.floats(-1e7, 1e7))
    return SceneGrid(name, UTM, (a, b, c, d, e, f), draw(LENGTHS), draw(LENGTHS))
