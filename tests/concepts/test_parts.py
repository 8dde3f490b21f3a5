"""Concepts of a pool that is cut up and shared out are those of the pool as a whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from concept_pools import index_of, scene, windows_of, write_layer

from owl_geo.concepts import pool as pools
from owl_geo.concepts.table import concept_table
from owl_geo.settings.concepts import CategoryConcept, DistanceConcept, LayerSettings, ShareConcept
from owl_geo.work.workers import Threads


def test_parts_and_threads_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    one, other = scene(30, 40), scene(10, 10, name="t", origin=(700_000.0, 5_700_000.0))
    west, north = one.transform[2], one.transform[5]
    discs = [
        shapely.Point(west + x, north - y).buffer(r)
        for x, y, r in zip(
            rng.uniform(0, 4000, 60),
            rng.uniform(0, 3000, 60),
            rng.uniform(20, 300, 60),
            strict=True,
        )
    ]
    path = write_layer(
        tmp_path / "l.gpkg", discs, use=rng.choice(["forest", "field", "works"], 60).tolist()
    )
    concepts = {
        "cover": CategoryConcept(layer="l", column="use"),
        "forest": ShareConcept(layer="l", where=("use=forest",)),
        "works": DistanceConcept(layer="l", where=("use=works",)),
    }
    index, windows = index_of([one, other]), windows_of([one, other])

    def columns(threads: int) -> pd.DataFrame:
        return concept_table(
            index,
            windows,
            concepts,
            {"l": LayerSettings(path=path)},
            workers=Threads(threads),
        ).columns

    whole = columns(1)
    assert whole["cover"].nunique() == 4
    assert 0 < whole["forest"].mean() < 1
    monkeypatch.setattr(pools, "_AT_ONCE", 7)
    cut = columns(3)
    assert (cut["cover"] == whole["cover"]).all()
    np.testing.assert_allclose(cut["forest"], whole["forest"], atol=1e-9)
    np.testing.assert_allclose(cut["works"], whole["works"], rtol=1e-12)
