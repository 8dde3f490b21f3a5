"""What a run's model says of imagery that is not in the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasters
import searches
import xarray as xr

from owl_geo import Run, init, predict, predict_array, predictions, query
from owl_geo.errors import RunError, SourceError
from owl_geo.features.statistics import SpectralStatistics

SIDE, SIZE = 192, 16


def imagery(seed: int) -> np.ndarray:
    """Two bands of noise; the first is bright in some patches."""
    rng = np.random.default_rng(seed)
    bright = rng.random((SIDE // SIZE, SIDE // SIZE)) < 0.3
    pixels = rng.integers(900, 1100, (2, SIDE, SIDE))
    pixels[0] += 600 * bright.repeat(SIZE, axis=0).repeat(SIZE, axis=1)
    return pixels.astype("uint16")


def as_array(pixels: np.ndarray, x0: float = 500_000.0) -> xr.DataArray:
    x = x0 + 10 * (np.arange(SIDE) + 0.5)
    y = 5_700_000.0 - 10 * (np.arange(SIDE) + 0.5)
    array = xr.DataArray(
        pixels, dims=("band", "y", "x"), coords={"band": ["one", "two"], "y": y, "x": x}
    )
    return array.rio.write_crs("EPSG:32631")


def made(tmp_path: Path, **tables: Any) -> Run:
    """A run on one scene, with one answered batch that knows what is bright."""
    pytest.importorskip("rioxarray")
    path = rasters.write_raster(tmp_path / "s.tif", imagery(0), descriptions=("one", "two"))
    source = {"kind": "geotiff", "scenes": [{"name": "s", "path": str(path)}], "patch_size": SIZE}
    run = init(tmp_path / "run", {"source": source, "loop": {"initial": 40}, **tables}).run
    asked = query(run).patch_ids
    bright = run.source.read(asked)[:, 0].mean(axis=(1, 2)) > 1200
    answers = {p: "present" if b else "absent" for p, b in zip(asked, bright, strict=True)}
    searches.label(run.batch_path(0), answers)
    from owl_geo import ingest

    ingest(run, [run.batch_path(0)], annotator="ana")
    return run


MODELS = [
    {},
    {"model": {"kind": "cnn"}, "training": {"epochs": 5}},
    {"model": {"kind": "statistics", "head": "mlp"}, "training": {"epochs": 5}},
]


@pytest.mark.parametrize("tables", MODELS, ids=["committee", "cnn", "mlp"])
def test_the_runs_own_imagery_is_judged_as_by_predict(
    tmp_path: Path, tables: dict[str, Any]
) -> None:
    # the same pixels at the same place are the same patches, if concepts and neighbours are
    run = made(tmp_path, **tables)
    predict(run)
    own = predictions(run)["s"]
    found = predict_array(run, as_array(imagery(0)))
    np.testing.assert_allclose(found["probability"], own["probability"], atol=1e-5)
    np.testing.assert_allclose(found["uncertainty"], own["uncertainty"], atol=1e-4)
    assert (found["class"].values == own["class"].values).all()
    np.testing.assert_allclose(found["x"], own["x"])
    assert found.rio.crs == own.rio.crs


def test_imagery_elsewhere_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path)
    before = sorted(path.name for path in (run.path / "features").iterdir())
    read: list[int] = []
    plain = SpectralStatistics.__call__
    monkeypatch.setattr(
        SpectralStatistics, "__call__", lambda self, x: read.append(len(x)) or plain(self, x)
    )
    found = predict_array(run, as_array(imagery(5), x0=600_000.0))
    assert sum(read) == (SIDE // SIZE) ** 2  # the run's own features are kept
    assert sorted(path.name for path in (run.path / "features").iterdir()) == before
    bright = imagery(5)[0].reshape(12, 16, 12, 16).mean(axis=(1, 3)) > 1200
    probability = found["probability"].values
    assert probability.shape == (12, 12)
    assert probability[bright].min() > probability[~bright].max()
    assert len(run.rounds()) == 1


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    run = made(tmp_path)
    with pytest.raises(SourceError, match=r"'?two'?"):
        predict_array(run, as_array(imagery(5))[:1])
    source = {"kind": "synthetic", "n_samples": 50, "image_size": 8, "n_bands": 2}
    fresh = init(tmp_path / "fresh", {"source": source}).run
    with pytest.raises(RunError, match="no answer to learn from yet"):
        predict_array(fresh, as_array(imagery(5)))
