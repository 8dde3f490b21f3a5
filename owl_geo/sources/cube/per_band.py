"""Scales and offsets that differ from band to band, as rioxarray keeps those of a file.

CF has one ``scale_factor`` and one ``add_offset`` for a variable, which xarray applies. Where bands
differ, rioxarray writes ``scales`` and ``offsets``, which nothing applies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from owl_geo.errors import SourceError
from owl_geo.sources.cube.file_bands import FileBands
from owl_geo.sources.cube.missing import number_in, numbers_in
from owl_geo.types import AnyArray
from owl_geo.wording import counted

_LISTS = ("scales", "offsets")  # rioxarray writes both


@dataclass(frozen=True)
class PerBand:
    """How values of a variable, as xarray hands them out, become those of each of its bands."""

    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    added: float  # the offset that xarray has added before the scale

    @classmethod
    def of(
        cls, dataset: xr.Dataset, variable: xr.Variable, bands: FileBands, where: str
    ) -> PerBand | None:
        """Return what a variable says, None where it says nothing of each of its bands.

        Where bands became variables, the dataset says it. Raises SourceError where several bands
        are spoken of, and not which of them these are.
        """
        attributes = variable.attrs
        if not attributes.keys() & set(_LISTS) and dataset.attrs.keys() >= set(_LISTS):
            attributes = dataset.attrs
        scales, offsets = (_own(attributes, name, bands, where) for name in _LISTS)
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


def _own(
    attributes: Mapping[Any, Any], name: str, bands: FileBands, where: str
) -> tuple[float, ...] | None:
    listed = numbers_in(attributes.get(name))
    own = bands.own(listed) if len(listed) > 1 else None
    if len(listed) > 1 and own is None:
        raise SourceError(
            f"{where} has {len(listed)} {name} for {counted(bands.count, 'band')}, and nothing "
            "says which are whose",
            remedy="keep the coordinate band of what you take out of a file, or apply them first",
        )
    return own
