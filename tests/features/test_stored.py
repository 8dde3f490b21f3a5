"""Features of a pool that is too large for memory: what is on disk gives what memory would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from embeddings import quantized, squares, unit_vectors, write_table

from owl_geo.features import narrow, table
from owl_geo.features.narrow import QUANTIZED, widened
from owl_geo.features.stored import StoredTable
from owl_geo.settings.learning import ModelSettings
from owl_geo.settings.sources import VectorsSettings
from owl_geo.sources import open_source
from owl_geo.sources.base import PatchSource
from owl_geo.sources.quantization import dequantized
from owl_geo.sources.statistics import band_statistics
from owl_geo.sources.synthetic import SyntheticSource
from owl_geo.types import AnyArray

KINDS = {
    "int8": lambda vectors: np.rint(vectors * 100),
    "quantized": lambda vectors: dequantized(quantized(vectors)),
    "float16": lambda vectors: vectors.astype(np.float16).astype(np.float32),
    "float32": lambda vectors: vectors.astype(np.float32),
}


def of_vectors(path: Path, vectors: AnyArray) -> PatchSource:
    return open_source(
        VectorsSettings(path=str(write_table(path, vectors.tolist(), squares(6, 10, 320.0))))
    )


def features(source: PatchSource, kind: str = "embedding", **given: object) -> table.FeatureRows:
    statistics = band_statistics(source, np.random.default_rng(0))
    model = ModelSettings(kind=kind)
    return table.feature_table(
        source, statistics, model, device=torch.device("cpu"), seed=0, **given
    )


def stored(source: PatchSource, folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    monkeypatch.setattr(table, "_IN_MEMORY", 0)
    ids = dict.fromkeys(source.index["scene"].unique(), "a")
    return features(source, kind, keep=folder, scene_ids=ids)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["embedding", "statistics"])
def test_vectors_on_disk_give_the_features_of_memory(
    kind: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = KINDS[kind](unit_vectors(60).T)
    source = of_vectors(tmp_path / "t.parquet", vectors)
    right = features(source, model)
    found = stored(source, tmp_path / "kept", monkeypatch, model)
    assert isinstance(found, StoredTable)
    assert len(found) == 60 and found.names == right.names
    at = np.array([59, 3, 3, 0, 17])
    assert np.array_equal(found.rows(np.arange(60)), right.values)
    assert np.array_equal(found.rows(at), right.values[at])
    (path,) = (tmp_path / "kept").glob("*.npy")
    kept = np.load(path)
    assert kept.dtype == (QUANTIZED if kind == "quantized" else kind)
    np.testing.assert_array_equal(widened(kept), vectors.astype(np.float32))
    for one, other in zip(found.components(3).T, right.components(3).T, strict=True):
        np.testing.assert_allclose(one * np.sign(one @ other), other, rtol=1e-3, atol=1e-4)


def test_what_is_kept_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = of_vectors(tmp_path / "t.parquet", unit_vectors(60).T)
    first = stored(source, tmp_path / "kept", monkeypatch, "embedding").rows(np.arange(60))
    monkeypatch.setattr(table._Piece, "__call__", None)
    again = stored(source, tmp_path / "kept", monkeypatch, "embedding")
    assert np.array_equal(again.rows(np.arange(60)), first)


def test_a_version_that_does_not_know_a_kind_keeps_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take the integers of that kind for values."""
    source = of_vectors(tmp_path / "t.parquet", KINDS["quantized"](unit_vectors(60).T))
    stored(source, tmp_path / "kept", monkeypatch, "embedding")
    before = [kind for kind in narrow.KINDS if kind != QUANTIZED]
    monkeypatch.setattr(narrow, "KINDS", before)
    stored(source, tmp_path / "kept", monkeypatch, "embedding")
    kinds = {np.load(path).dtype for path in (tmp_path / "kept").glob("*.npy")}
    assert kinds == {QUANTIZED, np.dtype(np.float32)}


def test_what_memory_kept_is_taken_from_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SyntheticSource(60, 8, 2)
    ids = {"synthetic": "a"}
    right = features(source, "statistics", keep=tmp_path, scene_ids=ids)
    monkeypatch.setattr(table._Piece, "__call__", None)
    found = stored(source, tmp_path, monkeypatch, "statistics")
    assert isinstance(found, StoredTable)
    assert np.array_equal(found.rows(np.arange(60)), right.values)
    (path,) = tmp_path.glob("*.npy")
    path.unlink()
    monkeypatch.undo()
    anew = stored(source, tmp_path, monkeypatch, "statistics")
    assert np.array_equal(anew.rows(np.arange(60)), right.values)


def test_there_are_no_more_components_than_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that a search asks for are eight, and vectors may be shorter."""
    vectors = unit_vectors(60).T[:, :3].tolist()
    path = write_table(tmp_path / "t.parquet", vectors, squares(6, 10, 320.0))
    source = open_source(VectorsSettings(path=str(path), vector_column="embedding"))
    right = features(source).components(8)
    found = stored(source, tmp_path / "kept", monkeypatch, "embedding").components(8)
    assert found.shape == right.shape == (60, 4)
