"""What makes patches similar for a Gaussian process: features, concepts, and the ground."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from owl_geo.models.heads import Columns

# Patches over which neighbours are similar: the first value, and its bounds.
_REACH = (2.0, (0.7, 8.0))


def kernel(columns: Columns) -> Any:
    """Return the sum of a kernel of features and concepts, one of concepts, and one of the ground.

    Each has its own amplitude, found by the marginal likelihood. If the image is uninformative, the
    first shrinks and the concepts are not drowned in noise; if targets are clustered (Tobler's
    first law, 1970), the answers nearby count, as in kriging.
    """

    def part(first: int, last: int, reach: float, bounds: tuple[float, float]) -> Any:
        return ConstantKernel(1.0, (1e-3, 30.0)) * _Within(reach, bounds, first, last)

    def smooth(first: int, last: int) -> Any:
        scale = float(np.sqrt(last - first))  # distances grow with the root of the dimension
        return part(first, last, scale, (0.3 * scale, 10 * scale))

    whole = smooth(0, columns.without_places)
    if columns.concepts and columns.features:
        whole += smooth(columns.features, columns.without_places)
    if columns.places:
        whole += part(columns.without_places, columns.width, *_REACH)
    return whole


class _Within(RBF):  # type: ignore[misc]  # scikit-learn has no types
    """A radial kernel that sees only the columns from ``first`` to before ``last``."""

    def __init__(
        self,
        length_scale: float = 1.0,
        length_scale_bounds: tuple[float, float] = (1e-5, 1e5),
        first: int = 0,
        last: int | None = None,
    ) -> None:
        super().__init__(length_scale, length_scale_bounds)
        self.first = first
        self.last = last

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        seen = slice(self.first, self.last)
        return super().__call__(X[:, seen], None if Y is None else Y[:, seen], eval_gradient)
