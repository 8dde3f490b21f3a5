"""One of everything that can be chosen, as whoever adds one would write it: a room, no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rasterio.enums import Resampling
from torch import nn

from owl_geo.acquisition.relevance import Evidence, RelevanceKind
from owl_geo.acquisition.samplers import GreedySampler, Sampler
from owl_geo.acquisition.spread import Diversity, Ranked
from owl_geo.acquisition.start import Start, Unanswered
from owl_geo.acquisition.strategies import Turn
from owl_geo.maps.cell_map import CellMap
from owl_geo.maps.outputs import FinishedScenes, Legend, Output
from owl_geo.measures.uncertainty import Measure
from owl_geo.models.backbones import Architecture
from owl_geo.models.cnn import SimpleCNN
from owl_geo.models.heads import Columns, HeadKind, Predict
from owl_geo.models.mlp import FeatureMLP
from owl_geo.types import FloatArray, IntArray

MEASURE = Measure(lambda members: np.full(members.shape[1], 0.125), greatest=lambda n: 0.125)


def _fit(table: FloatArray, labels: IntArray, columns: Columns, seed: int) -> Predict:
    return lambda rows: np.full((1, len(rows), 2), (0.25, 0.75))


HEAD = HeadKind(_fit, members=1)


class Network(SimpleCNN):
    """Of a model kind that looks at the pixels."""


class FeatureNetwork(FeatureMLP):
    """Of a head that goes on from its weights."""


class Brightness:
    """Of a model kind whose features are computed once."""

    names = ("brightness",)

    def __init__(self, *_: object) -> None:
        pass

    def __call__(self, patches: FloatArray) -> FloatArray:
        return patches.mean(axis=(1, 2, 3))[:, None].astype(np.float32)


def _trunk(n_bands: int) -> tuple[nn.Module, int]:
    return nn.Sequential(nn.Conv2d(n_bands, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), 3


BACKBONE = Architecture(_trunk, "0", lambda: None)


class _Backwards(GreedySampler):
    def choose(self, terms, candidates, batch_size, random_state):
        return np.arange(len(candidates))[::-1][:batch_size]


def backwards(turn: Turn) -> Sampler:
    """Choose the last patches of the index."""
    return _Backwards(**turn.common)


def _first(pool: Unanswered, count: int, _rng: np.random.Generator) -> IntArray:
    return np.arange(len(pool.relevance))[:count]


def _worst(ranked: Ranked, count: int, _rng: np.random.Generator) -> IntArray:
    return np.argsort(ranked.scores)[:count]


def _five(evidence: Evidence) -> np.ndarray:
    return np.full(len(evidence.concepts), 5.0)


START = Start(_first)
DIVERSITY = Diversity(_worst)
RELEVANCE = RelevanceKind(_five, follows_answers=False)


class DoubtMap(CellMap):
    """The uncertainty in per cent, as a map of its own; 255 where no patch lies."""

    is_shown = True
    bands = ("doubt",)
    dtype = "uint8"
    nodata = 255
    resampling = Resampling.average

    def values(self, means: np.ndarray, legend: Legend) -> np.ndarray:
        return np.nan_to_num(means[-1:] * 100, nan=255).round()

    def style(self, legend: Legend) -> str:
        return "<qgis/>"


class Listing(Output):
    """The most probable patches as text."""

    def whole(self, folder: Path) -> Path:
        return folder / f"{self.name}.txt"

    def write_whole(self, folder: Path, scenes: FinishedScenes) -> None:
        self.whole(folder).write_text("\n".join(scenes.best()["patch_id"]), encoding="utf-8")
