"""The products of matrices say what scikit-learn's Gaussian process says."""

from __future__ import annotations

import numpy as np
import pytest

from owl_geo.models import gaussian_process, laplace
from owl_geo.models.gaussian_process import fit_process
from owl_geo.models.heads import Columns
from owl_geo.models.kernel import kernel

COLUMNS = Columns(6, 2, 3)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("most", [600, 30])  # answers; of more, the kernel is chosen on some
def test_probabilities_are_those_of_scikit_learn(
    monkeypatch: pytest.MonkeyPatch, n_classes: int, most: int
) -> None:
    monkeypatch.setattr(gaussian_process, "_TUNED_ON", most)
    monkeypatch.setattr(laplace, "_AT_ONCE", 1000)  # more than a block of candidates
    rng = np.random.default_rng(n_classes)
    rows = (3 * rng.normal(size=(560, COLUMNS.width))).astype(np.float32)
    labels = (rows[:60, 0] > 0) * 1 + (n_classes > 2) * (rows[:60, 1] > 1)
    process = fit_process(rows[:60], labels, COLUMNS, 0)
    own = np.stack(
        [one.predict_proba(rows.astype(np.float64))[:, 1] for one in process.binary], axis=1
    )
    expected = (
        np.concatenate([1 - own, own], axis=1)
        if n_classes == 2
        else own / own.sum(axis=1, keepdims=True)
    )
    found = process.predict(rows)
    assert found.shape == (1, 560, n_classes)
    # answers are among the candidates: there, the distance is 0 and the variance is least
    np.testing.assert_allclose(found[0], expected, rtol=1e-9, atol=1e-11)


def test_similarities_are_those_of_the_kernel() -> None:
    rng = np.random.default_rng(0)
    known, rows = rng.normal(size=(9, 11)), rng.normal(size=(20, 11))
    ours = kernel(COLUMNS)
    ours.theta = np.log([0.5, 1.0, 2.0, 3.0, 1.0, 2.0])
    np.testing.assert_allclose(ours.similarities(known)(rows), ours(rows, known), rtol=1e-12)
    assert (ours.similarities(known)(known) <= ours.diag(known)[:, None]).all()
