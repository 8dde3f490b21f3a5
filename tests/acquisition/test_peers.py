"""Strategies of scikit-activeml: each chooses by our probabilities and features."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from owl_geo import entropy
from owl_geo.acquisition.peers import choose_by, peer_names
from owl_geo.errors import ConfigError

pytest.importorskip("skactiveml")

# what looks at probabilities at all
JUDGING = [
    "uncertainty-entropy",
    "uncertainty-margin",
    "uncertainty-least-confident",
    "epistemic",
    "probabilistic",
    "four-ds",
    "badge",
    "contrastive",
    "clue",
    "falcun",
]
# what looks at features at all
LOOKING = [
    "epistemic",
    "probabilistic",
    "four-ds",
    "badge",
    "contrastive",
    "clue",
    "coreset",
    "typiclust",
    "probcover",
    "max-herding",
    "greedy-x",
    "discriminative",
]


def task(n: int = 120, answered: int = 15, classes: int = 2, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "probabilities": rng.dirichlet(np.full(classes, 0.7), n).astype(np.float32),
        "features": rng.normal(size=(n, 6)).astype(np.float32),
        "labelled_features": rng.normal(size=(answered, 6)).astype(np.float32),
        "labelled_classes": rng.integers(0, classes, answered),
    }


def choose(name: str, given: dict[str, Any], batch_size: int = 8, seed: int = 1) -> list[int]:
    rng = np.random.default_rng(seed)
    return choose_by(name, **given, batch_size=batch_size, rng=rng).tolist()


@pytest.mark.parametrize("name", peer_names())
class TestEveryPeer:
    def test_different_positions_in_range(self, name: str) -> None:
        chosen = choose(name, task())
        assert len(set(chosen)) == 8
        assert set(chosen) <= set(range(120))

    def test_one_seed_one_choice_and_the_global_generator_is_left_alone(self, name: str) -> None:
        np.random.seed(3)  # noqa: NPY002
        before = np.random.get_state()[1].tolist()  # noqa: NPY002
        first = choose(name, task())
        assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
        np.random.seed(4)  # noqa: NPY002
        assert choose(name, task()) == first

    def test_a_budget_above_the_pool_takes_the_whole_pool(self, name: str) -> None:
        for n in (1, 2, 5):
            assert sorted(choose(name, task(n), batch_size=9)) == list(range(n))

    def test_no_candidate_and_no_budget(self, name: str) -> None:
        assert choose(name, task(0)) == []
        assert choose(name, task(), batch_size=0) == []

    @pytest.mark.filterwarnings("ignore")  # it tells at length that nothing is answered
    def test_before_the_first_answer(self, name: str) -> None:
        assert len(set(choose(name, task(answered=0)))) == 8

    @pytest.mark.filterwarnings("ignore")  # clusters that coincide
    def test_patches_that_are_all_alike(self, name: str) -> None:
        given = task(20)
        given["features"][:] = given["features"][0]
        assert len(set(choose(name, given))) == 8

    def test_more_than_two_classes(self, name: str) -> None:
        if name == "skactiveml:epistemic":
            with pytest.raises(ConfigError, match="separates two classes, not 4"):
                choose(name, task(classes=4))
        else:
            assert len(set(choose(name, task(classes=4)))) == 8

    def test_it_sees_the_probabilities_if_it_judges_by_them(self, name: str) -> None:
        given = task()
        other = given | {"probabilities": given["probabilities"][::-1].copy()}
        judges = name.removeprefix("skactiveml:") in JUDGING
        assert (choose(name, given) != choose(name, other)) == judges

    def test_it_sees_the_features_if_it_looks_at_them(self, name: str) -> None:
        given = task()
        other = given | {"features": given["features"][::-1].copy()}
        looks = name.removeprefix("skactiveml:") in LOOKING
        assert (choose(name, given) != choose(name, other)) == looks


# row numbers tell probabilities apart; a strategy that measured them would choose by the order
@pytest.mark.parametrize(
    "word", ["epistemic", "probabilistic", "contrastive", "coreset", "max-herding", "greedy-x"]
)
def test_the_order_of_the_candidates_is_no_feature(word: str) -> None:
    given = task()
    order = np.random.default_rng(9).permutation(120)
    shuffled = given | {key: given[key][order] for key in ("probabilities", "features")}
    chosen = order[choose(f"skactiveml:{word}", shuffled)]
    assert sorted(chosen.tolist()) == sorted(choose(f"skactiveml:{word}", given))


def test_clusters_are_those_of_the_features() -> None:
    """Two far groups that take turns in the pool: by features two clusters, by row numbers none."""
    given = task(100)
    group = np.arange(100) % 2
    given["features"] = given["features"] * 0.1 + 9 * group[:, None]
    for seed in range(6):
        chosen = choose("skactiveml:clue", given, batch_size=2, seed=seed)
        assert set(group[chosen].tolist()) == {0, 1}


def test_entropy_takes_the_highest_entropies_best_first() -> None:
    given = task()
    best = np.argsort(-entropy(given["probabilities"]))[:8]
    assert choose("skactiveml:uncertainty-entropy", given) == best.tolist()


def test_margin_and_confidence_go_their_own_ways() -> None:
    given = task(classes=4)
    p = np.sort(given["probabilities"], axis=1)
    margin = np.argsort(p[:, -1] - p[:, -2])[:8]
    assert choose("skactiveml:uncertainty-margin", given) == margin.tolist()
    confidence = np.argsort(p[:, -1])[:8]
    assert choose("skactiveml:uncertainty-least-confident", given) == confidence.tolist()


def test_badge_starts_at_the_largest_gradient() -> None:
    given = task()
    p, features = given["probabilities"].astype(float), given["features"].astype(float)
    gradient = np.abs(p - np.eye(2)[p.argmax(axis=1)]).max(axis=1) * np.linalg.norm(
        features, axis=1
    )
    assert choose("skactiveml:badge", given)[0] == gradient.argmax()


def test_coreset_starts_farthest_from_what_is_answered() -> None:
    given = task()
    gaps = np.linalg.norm(
        given["features"][:, None].astype(float) - given["labelled_features"][None], axis=2
    )
    assert choose("skactiveml:coreset", given)[0] == gaps.min(axis=1).argmax()


def test_contrastive_compares_with_the_answers() -> None:
    given = task()
    flipped = 1 - given["labelled_classes"]
    assert choose("skactiveml:contrastive", given | {"labelled_classes": flipped}) != choose(
        "skactiveml:contrastive", given
    )


def test_other_seeds_other_choices() -> None:
    for name in ("skactiveml:random", "skactiveml:falcun", "skactiveml:badge"):
        assert choose(name, task(), seed=1) != choose(name, task(), seed=2)


def test_an_unknown_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'skactiveml:badge'"):
        choose("skactiveml:badg", task())


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"probabilities": np.full((120, 2), 0.7)}, "sum to 1"),
        ({"probabilities": np.full((119, 2), 0.5)}, r"shape \(120, classes\)"),
        ({"labelled_classes": np.zeros(3, dtype=np.int64)}, "have 3 classes"),
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[str, np.ndarray], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        choose("skactiveml:badge", task() | changed)


def test_without_the_package_one_line_says_what_to_install() -> None:
    program = """
import sys
sys.modules["skactiveml"] = None  # what the import system sees where it is not installed
import numpy as np
from owl_geo.acquisition.peers import choose_by, peer_names
from owl_geo.errors import ConfigError
try:
    choose_by(peer_names()[0], probabilities=np.full((3, 2), 0.5), features=np.eye(3),
              labelled_features=np.eye(3), labelled_classes=np.array([0, 1, 0]), batch_size=1,
              rng=np.random.default_rng(0))
except ConfigError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "strategy 'skactiveml:random' needs scikit-activeml; install owl-geo[activeml]\n"
    )


def test_the_names_can_be_had_without_importing_it() -> None:
    program = (
        "import sys; from owl_geo.acquisition.peers import peer_names; peer_names();"
        "print('skactiveml' in sys.modules, 'sklearn' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False False\n"
