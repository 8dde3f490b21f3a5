"""The map of the probability of the class that is searched for, and of the uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from owl_geo.maps.cell_map import CellMap
from owl_geo.maps.outputs import Legend
from owl_geo.maps.style import probability_style
from owl_geo.types import AnyArray


class ProbabilityMap(CellMap):
    """Two bands of float32; not-a-number in cells without a patch."""

    is_shown = True
    bands = ("probability", "uncertainty")
    dtype = "float32"
    nodata = np.nan
    resampling = Resampling.average

    def values(self, means: NDArray[np.float64], legend: Legend) -> AnyArray:
        """Return the means of the positive class's probability and of the uncertainty."""
        return means[[legend.number, -1]]

    def style(self, legend: Legend) -> str:
        """Return a colour ramp over the probability."""
        return probability_style()

    def attributes(self, legend: Legend) -> Mapping[str, Mapping[str, Any]]:
        """Return which class the probability refers to."""
        return {"probability": {"long_name": f"probability of {legend.positive}"}}
