"""What makes patches similar for a Gaussian process: features, concepts, and the ground."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist, squareform
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel, StationaryKernelMixin

from owl_geo.models.heads import Columns

_AMPLITUDE = (1e-3, 30.0)
# Patches over which neighbours are similar: the first value, and its bounds.
_REACH = (2.0, (0.7, 8.0))

Floats = NDArray[np.float64]


def kernel(columns: Columns) -> PatchKernel:
    """Return the sum of a kernel of features and concepts, one of concepts, and one of the ground.

    Each has its own amplitude, found by the marginal likelihood. If the image is uninformative, the
    first shrinks and the concepts are not drowned in noise; if targets are clustered (Tobler's
    first law, 1970), the answers nearby count, as in kriging.
    """
    smooth = [(0, columns.without_places)]
    if columns.concepts and columns.features:
        smooth.append((columns.features, columns.without_places))
    # distances grow with the root of the dimension
    reaches = [float(np.sqrt(last - first)) for first, last in smooth]
    bounds = [(0.3 * reach, 10 * reach) for reach in reaches]
    parts = list(smooth)
    if columns.places:
        parts.append((columns.without_places, columns.width))
        reaches.append(_REACH[0])
        bounds.append(_REACH[1])
    return PatchKernel(
        tuple(parts), np.ones(len(parts)), np.array(reaches), _AMPLITUDE, np.array(bounds)
    )


class PatchKernel(StationaryKernelMixin, Kernel):  # type: ignore[misc]  # scikit-learn has no types
    """A sum of radial kernels, each of which sees some of the columns.

    scikit-learn's own sums and products compute the same. This one measures the distances between
    the answers once a fit, not once a step of it.

    Args:
        parts: the first column of each part and the one after its last.
        amplitudes: ``(parts,)``.
        reaches: the length scale of each part, ``(parts,)``.
        amplitude_bounds: of all amplitudes.
        reach_bounds: of each reach, ``(parts, 2)``.
    """

    def __init__(
        self,
        parts: tuple[tuple[int, int], ...],
        amplitudes: Floats,
        reaches: Floats,
        amplitude_bounds: tuple[float, float],
        reach_bounds: Floats,
    ) -> None:
        self.parts = parts
        self.amplitudes = amplitudes
        self.reaches = reaches
        self.amplitude_bounds = amplitude_bounds
        self.reach_bounds = reach_bounds

    @property
    def hyperparameter_amplitudes(self) -> Hyperparameter:
        """What the fit may change, as scikit-learn asks for it."""
        return Hyperparameter("amplitudes", "numeric", self.amplitude_bounds, len(self.parts))

    @property
    def hyperparameter_reaches(self) -> Hyperparameter:
        """What the fit may change, as scikit-learn asks for it."""
        return Hyperparameter("reaches", "numeric", self.reach_bounds, len(self.parts))

    def _check_bounds_params(self) -> None:
        """Say nothing: a kernel at one of its bounds is as good as the answers allow."""

    def diag(self, X: Floats) -> Floats:
        """Return the similarity of each row to itself, ``(n,)``."""
        return np.full(len(X), np.sum(self.amplitudes))

    def __call__(self, X: Floats, Y: Floats | None = None, eval_gradient: bool = False) -> Any:
        """Return the similarities ``(n, m)`` of rows, and how they change with ``theta``.

        Args:
            X: ``(n, columns)``, float64.
            Y: ``(m, columns)``, float64; ``X`` if None.
            eval_gradient: also return the gradient, ``(n, n, 2 parts)``.
        """
        apart = self._squares(X) if Y is None else _squares_between(X, Y, self.parts)
        # of a single part, scikit-learn makes them plain numbers
        amplitudes, reaches = np.atleast_1d(self.amplitudes), np.atleast_1d(self.reaches)
        steepness = -0.5 / reaches**2
        if not eval_gradient:
            return sum(
                amplitude * np.exp(steep * squares)
                for amplitude, steep, squares in zip(amplitudes, steepness, apart, strict=True)
            )
        slopes = np.empty((2 * len(self.parts), len(X), len(X)))
        by_amplitude, by_reach = np.split(slopes, 2)
        for number, squares in enumerate(apart):
            own = np.exp(steepness[number] * squares, out=by_amplitude[number])
            own *= amplitudes[number]
            np.multiply(own, squares, out=by_reach[number])
            by_reach[number] /= reaches[number] ** 2
        return by_amplitude.sum(axis=0), slopes.transpose(1, 2, 0)

    def similarities(self, known: Floats) -> Callable[[Floats], Floats]:
        """Return a function from rows ``(n, columns)`` to their similarities ``(n, m)`` to others.

        It gives what a call does, to within rounding, and takes products where that takes
        differences.
        """
        steepness = -0.5 / np.atleast_1d(self.reaches) ** 2
        terms = []
        for (first, last), amplitude, steep in zip(
            self.parts, np.atleast_1d(self.amplitudes), steepness, strict=True
        ):
            own = known[:, first:last]
            # |x - y|^2 = |x|^2 + |y|^2 - 2 x y
            terms.append((amplitude, steep, (-2 * steep) * own.T, steep * (own**2).sum(axis=1)))

        def similar(rows: Floats) -> Floats:
            total: Floats | None = None
            for (first, last), (amplitude, steep, axes, lengths) in zip(
                self.parts, terms, strict=True
            ):
                part = rows[:, first:last]
                own = part @ axes
                own += lengths
                own += steep * np.einsum("ij,ij->i", part, part)[:, None]
                np.minimum(own, 0.0, out=own)
                np.exp(own, out=own)
                own *= amplitude
                total = own if total is None else np.add(total, own, out=total)
            assert total is not None  # a kernel has a part
            return total

        return similar

    def _squares(self, rows: Floats) -> list[Floats]:
        """Return the squared distances among rows, which are kept for the next call."""
        kept: tuple[Floats, list[Floats]] | None = getattr(self, "_kept", None)
        if kept is None or kept[0] is not rows:
            measured = [
                squareform(pdist(rows[:, first:last], "sqeuclidean")) for first, last in self.parts
            ]
            kept = self._kept = (rows, measured)
        return kept[1]


def _squares_between(
    rows: Floats, others: Floats, parts: tuple[tuple[int, int], ...]
) -> list[Floats]:
    return [cdist(rows[:, a:b], others[:, a:b], "sqeuclidean") for a, b in parts]
