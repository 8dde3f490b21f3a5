"""The kernel of patches has the values and the slopes of scikit-learn's own sums and products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from owl_geo.models import kernel as module
from owl_geo.models.heads import Columns
from owl_geo.models.kernel import kernel

COLUMNS = {
    "all": (Columns(4, 2, 2), [(0, 6), (4, 6), (6, 8)]),
    "no concepts": (Columns(5, 0, 2), [(0, 5), (5, 7)]),
    "concepts alone": (Columns(0, 3), [(0, 3)]),
}


def rows(columns: Columns, n: int, seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=(n, columns.width))


@pytest.mark.parametrize("case", COLUMNS)
def test_it_is_a_sum_of_radial_kernels(case: str) -> None:
    columns, parts = COLUMNS[case]
    n = len(parts)
    theta = np.log(np.concatenate([np.linspace(0.5, 2, n), np.linspace(1, 3, n)]))
    ours = kernel(columns)
    ours.theta = theta
    x, y = rows(columns, 9, 0), rows(columns, 5, 1)
    values, across = np.zeros((9, 9)), np.zeros((9, 5))
    slopes: list[Any] = [None] * 2 * n
    for number, (first, last) in enumerate(parts):
        amplitude, reach = np.exp(theta[[number, n + number]])
        plain = ConstantKernel(amplitude) * RBF(reach)
        own, slope = plain(x[:, first:last], eval_gradient=True)
        values += own
        across += plain(x[:, first:last], y[:, first:last])
        slopes[number], slopes[n + number] = slope[:, :, 0], slope[:, :, 1]
    found, gradient = ours(x, eval_gradient=True)
    np.testing.assert_allclose(found, values, rtol=1e-12)
    np.testing.assert_allclose(gradient, np.stack(slopes, axis=2), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(ours(x), values, rtol=1e-12)
    np.testing.assert_allclose(ours(x, y), across, rtol=1e-12)
    np.testing.assert_allclose(ours.diag(x), np.diag(values), rtol=1e-12)


def test_distances_are_measured_once_for_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    plain = module.pdist
    monkeypatch.setattr(module, "pdist", lambda *said: measured.append(1) or plain(*said))
    columns, _ = COLUMNS["all"]
    ours, first, second = kernel(columns), rows(columns, 4, 0), rows(columns, 4, 1)
    for _ in range(3):
        ours(first, eval_gradient=True)
    assert len(measured) == 3
    assert not np.allclose(ours(second), ours(first))
