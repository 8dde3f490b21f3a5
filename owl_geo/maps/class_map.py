"""The map of the most probable class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from owl_geo.maps.cell_map import CellMap
from owl_geo.maps.cog import NO_CLASS
from owl_geo.maps.outputs import Legend
from owl_geo.maps.style import class_style
from owl_geo.types import AnyArray


class ClassMap(CellMap):
    """Class numbers as uint8, with names and colours; 255 in cells without a patch."""

    bands = ("class",)
    dtype = "uint8"
    nodata = NO_CLASS
    resampling = Resampling.mode

    def values(self, means: NDArray[np.float64], legend: Legend) -> AnyArray:
        """Return the number of the most probable class."""
        best: AnyArray = means[:-1].argmax(axis=0).astype(np.uint8)
        best[np.isnan(means[0])] = NO_CLASS
        return best[None]

    def style(self, legend: Legend) -> str:
        """Return the classes' colours."""
        return class_style(legend.classes)

    def categories(self, legend: Legend) -> Sequence[str]:
        """Return the names of the classes."""
        return legend.classes

    def attributes(self, legend: Legend) -> Mapping[str, Mapping[str, Any]]:
        """Name the classes as CF conventions do."""
        return {
            "class": {
                "_FillValue": NO_CLASS,
                "flag_values": np.arange(len(legend.classes), dtype=np.uint8),
                "flag_meanings": " ".join(name.replace(" ", "_") for name in legend.classes),
            }
        }
