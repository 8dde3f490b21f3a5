"""What every strategy promises, by name and through a whole search; start, spread, ground."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import searches
import shapely
import torch
from pyproj import Geod
from rasterio.transform import from_origin
from rasters import write_raster

from owl_geo import init
from owl_geo.acquisition.peers import peer_names
from owl_geo.errors import ConfigError
from owl_geo.ground.footprints import footprints
from owl_geo.search.choosing import choose
from owl_geo.search.records import Answers, class_numbers
from owl_geo.search.search import Search
from owl_geo.settings.choices import STRATEGIES
from owl_geo.sources.base import windows_of

CPU = torch.device("cpu")
NAMES = (*STRATEGIES, *peer_names())


@pytest.fixture(scope="module")
def trial(tmp_path_factory) -> Search:
    """A search with an oracle, whose features are computed."""
    one = searches.make(tmp_path_factory.mktemp("strategies") / "r", oracle={}).search(CPU)
    assert one.features.values.shape[0] == 80
    return one


def choosing(one: Search, **acquisition: Any) -> Search:
    """The same search with other settings of the acquisition."""
    values = one.settings.model_dump()
    values["acquisition"] = values["acquisition"] | acquisition
    settings = type(one.settings).model_validate(values)
    other = Search(settings, one.patches, one.source, one.statistics, one.truth, device=CPU)
    other.__dict__["features"] = one.features  # computed once for all
    return other


def answered(one: Search, n: int, label: int | None = None) -> Answers:
    """The truth of the first patches that may be asked, or one label for all of them."""
    free = np.flatnonzero(one.askable(Answers.none()))
    positions = free[:n]
    labels = class_numbers(one.settings.classes, one.truth["label"].iloc[positions])
    if label is not None:
        labels = np.full(n, label)
    # unsure and skipped patches are closed, but teach nothing
    return Answers(positions, labels, np.ones(n, dtype=bool), free[: n + 3])


def batch(one: Search, answers: Answers, number: int = 1) -> list[int]:
    learner = one.learner()
    one.learn(learner, answers, number)
    return choose(one, learner, answers, number).positions.tolist()


@pytest.fixture(params=NAMES)
def named(request: pytest.FixtureRequest, trial: Search) -> Search:
    if request.param in peer_names():
        pytest.importorskip("skactiveml")
    return choosing(trial, strategy=request.param)


class TestEveryStrategy:
    @pytest.mark.parametrize("label", [None, 0, 1])
    def test_different_patches_that_may_be_asked(self, named: Search, label: int | None) -> None:
        """With answers of both classes and, as early in a search, of one alone."""
        answers = answered(named, 12, label)
        chosen = batch(named, answers)
        assert len(set(chosen)) == len(chosen) == 4
        free = named.askable(answers)
        assert free[chosen].all()
        assert not named.truth["held_out"].to_numpy()[chosen].any()
        assert not set(chosen) & set(answers.closed.tolist())

    def test_one_seed_one_batch_and_another_round_another(self, named: Search) -> None:
        answers = answered(named, 12)
        assert batch(named, answers) == batch(named, answers)
        # where the strategy draws nothing, the patches that audit it are others
        assert batch(named, answers) != batch(named, answers, 2)

    def test_a_budget_above_the_pool_takes_what_is_left(self, named: Search) -> None:
        answers = answered(named, 59)
        free = np.flatnonzero(named.askable(answers)).tolist()
        assert len(free) == 2
        assert sorted(batch(named, answers)) == free


def test_an_unknown_name_is_one_line(trial: Search) -> None:
    with pytest.raises(ValueError, match="no strategy 'discovry'; did you mean 'discovery'"):
        choosing(trial, strategy="discovry")
    with pytest.raises(ConfigError, match="did you mean 'skactiveml:badge'"):
        batch(choosing(trial, strategy="skactiveml:bagde"), answered(trial, 12))


@pytest.mark.parametrize("start", ["typical", "relevance", "random"])
def test_the_first_batch(start: str, trial: Search) -> None:
    one = choosing(trial, start=start, audit_share=0.0)
    first = choose(one, one.learner(), Answers.none(), 0)
    assert len(set(first.positions.tolist())) == 6
    assert one.askable(Answers.none())[first.positions].all()
    again = choose(one, one.learner(), Answers.none(), 0)
    assert first.positions.tolist() == again.positions.tolist()
    assert np.isnan(first.terms.probability).all()
    relevance = first.terms.relevance
    if start == "relevance":
        assert (relevance == 6).sum() >= 3
        assert (np.diff(relevance) <= 0).all()
    if start == "typical":  # weighed within clusters, not the most relevant of all
        assert len(set(relevance.tolist())) > 1


def centres_of(one: Search) -> np.ndarray:
    polygons = footprints(windows_of(one.source))
    return shapely.get_coordinates(shapely.centroid(polygons.to_numpy()))


@pytest.mark.parametrize("strategy", ["discovery", "concept", "uncertainty", "greedy", "relevance"])
def test_a_batch_keeps_its_distance_on_the_ground(strategy: str, trial: Search) -> None:
    centres = centres_of(trial)

    def nearest(min_distance: float) -> float:
        one = choosing(trial, strategy=strategy, min_distance=min_distance, audit_share=0.0)
        closest = np.inf
        for number in (1, 2, 3):
            there = centres[batch(one, answered(one, 12), number)]
            gaps = np.linalg.norm(there[:, None] - there[None], axis=2)
            closest = min(closest, gaps[np.triu_indices(len(there), 1)].min())
        return closest

    assert nearest(0.0) < 200  # patches are 80 m wide
    assert nearest(200.0) >= 200


@pytest.mark.filterwarnings("error::UserWarning")  # which would go to the terminal
def test_metres_are_metres_in_degrees_too(tmp_path: Path) -> None:
    """At 60 degrees north, a degree of longitude is half as long as one of latitude."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 200, (2, 96, 96)).astype("uint8")
    scene = write_raster(
        tmp_path / "s.tif", pixels, crs="EPSG:4326", transform=from_origin(10, 60, 1e-4, 1e-4)
    )
    tables = {
        "source": {
            "kind": "geotiff",
            "scenes": [{"name": "s", "path": str(scene)}],
            "patch_size": 8,
        },
        "acquisition": {"strategy": "uncertainty", "min_distance": 150.0, "audit_share": 0.0},
        "loop": {"initial": 10, "batch_size": 12},
    }
    one = init(tmp_path / "r", tables).run.search(CPU)
    positions = np.arange(0, 144, 12)
    labels = np.arange(12) % 2
    answers = Answers(positions, labels, np.ones(12, dtype=bool), positions)
    centres = centres_of(one)[batch(one, answers)]
    geod = Geod(ellps="WGS84")
    metres = [geod.inv(*a, *b)[2] for a, b in itertools.combinations(centres, 2)]
    assert len(centres) == 12
    assert min(metres) >= 149.9
    # a patch is 45 m wide and 89 m high, so some neighbours two rows apart are far enough
    assert min(metres) < 230
