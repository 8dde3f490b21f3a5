"""Which scales of TESSERA's vectors are those of a vector, wherever they are stored."""

from __future__ import annotations

import numpy as np

from owl_geo.types import AnyArray, BoolArray

# Scales at least as large are no data. geotessera 0.10 leaves them out of its Zarr stores and where
# it reads them (``valid_scale_mask``); what older releases wrote still has them. By its authors'
# count of 1.2 million pixels, 99.99 % are below 0.14, and some of the published are wrong by orders
# of magnitude.
TOO_LARGE = 1.0


def scales_that_count(scales: AnyArray) -> BoolArray:
    """Return where scales, in any shape, are positive finite numbers that a vector may have."""
    with np.errstate(invalid="ignore"):
        counts: BoolArray = (scales > 0) & (scales < TOO_LARGE)  # neither not-a-number nor infinite
    return counts
