"""Scales and offsets that differ from band to band, as rioxarray keeps those of a file.

CF has one ``scale_factor`` and one ``add_offset`` for a variable, which xarray applies. Where bands
differ, rioxarray writes ``scales`` and ``offsets``, which nothing applies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from owl_geo.sources.cube.file_bands import FileBands
from owl_geo.sources.cube.missing import number_in, numbers_in
from owl_geo.types import AnyArray


@dataclass(frozen=True)
class PerBand:
    """How values of a variable, as xarray hands them out, become those of each of its bands."""

    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    added: float  # the offset that xarray has added before the scale

    @classmethod
    def of(cls, variable: xr.Variable, bands: FileBands) -> PerBand | None:
        """Return what a variable says, None where it says nothing of each of its bands."""
        listed = [numbers_in(variable.attrs.get(name)) for name in ("scales", "offsets")]
        scales, offsets = (bands.own(each) if len(each) > 1 else None for each in listed)
        if scales is None and offsets is None:
            return None
        added = number_in(variable.encoding.get("add_offset"), 0.0)
        return cls(
            scales=scales or (1.0,) * bands.count,
            offsets=offsets or (added,) * bands.count,
            added=added,
        )

    def of_bands(self, positions: Sequence[int]) -> PerBand:
        """Return the same for some of the variable's bands, in this order."""
        scales = tuple(self.scales[position] for position in positions)
        return PerBand(scales, tuple(self.offsets[position] for position in positions), self.added)

    def applied(self, values: AnyArray) -> AnyArray:
        """Return ``(dates, bands, height, width)`` in the units of the bands, as float32."""
        shape = (1, -1, 1, 1)
        scaled = (values - self.added) * np.reshape(self.scales, shape)
        return np.asarray(scaled + np.reshape(self.offsets, shape), dtype=np.float32)
