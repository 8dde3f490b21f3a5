"""Records of made-up searches, as a simulation would leave them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def search(
    strategy: str,
    seed: int,
    n_labeled: Sequence[int],
    found: Sequence[int],
    *,
    source: str = "here",
    targets: int = 20,
    pool: int = 200,
    auc: Sequence[float] | float = 0.8,
    full_auc: float = 0.9,
) -> pd.DataFrame:
    """One search, written out."""
    return pd.DataFrame(
        {
            "source": source,
            "strategy": strategy,
            "seed": seed,
            "n_labeled": list(n_labeled),
            "positives_found": list(found),
            "targets": targets,
            "pool": pool,
            "test_auc": auc,
            "test_ap": 0.3,
            "test_ece": 0.05,
            "seconds": 1.5,
            "full_auc": full_auc,
        }
    )


def drawn(
    skills: dict[str, float], *, seeds: int = 5, sources: Sequence[str] = ("here",)
) -> pd.DataFrame:
    """Searches of 10 rounds; a skill of 0 finds what chance gives, 1 all it can."""
    parts = []
    n = np.arange(10, 101, 10)
    for source in sources:
        for strategy, skill in skills.items():
            for seed in range(seeds):
                # the luck of a seed is shared by its strategies, as first batches are
                luck = np.random.default_rng(seed).normal(scale=0.01)
                chance, best = n * 20 / 200, np.minimum(n, 20)
                found = np.floor(chance + (best - chance) * np.clip(skill + luck, 0, 1))
                auc = 0.9 - 0.3 * np.exp(-n / (60 - 40 * skill)) + luck
                parts.append(
                    search(strategy, seed, n, found.astype(int), source=source, auc=auc.tolist())
                )
    return pd.concat(parts, ignore_index=True)
