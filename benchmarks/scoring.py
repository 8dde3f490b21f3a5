"""Scoring a pool with the lightweight CNN, compared with a DataLoader loop of batch size 32.

In bfloat16 as well, where the processor has it, with how far the ranks agree.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.stats import spearmanr
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.timing import interleaved, table
from owl_geo import SyntheticSource, entropy
from owl_geo.learners import scoring
from owl_geo.models import checkpoint
from owl_geo.models.compiled import WORTH_IT, is_available
from owl_geo.models.precision import computes_bfloat16
from owl_geo.settings.learning import Precision
from owl_geo.sources.base import read_at
from owl_geo.types import FloatArray, IntArray

N, _DRAWN = 2 * WORTH_IT, 10_000  # patches scored, and patches drawn, which are scored repeatedly
_FIRST = 100  # patches that a batch may be drawn from


class InMemory(SyntheticSource):
    """Synthetic patches that are drawn once and repeated, so that only the scoring is timed."""

    def __init__(self, n_samples: int) -> None:
        super().__init__(n_samples)
        self.images = read_at(SyntheticSource(_DRAWN), np.arange(_DRAWN))

    def stream(
        self, positions: IntArray | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield slices of the patches in memory; ``positions`` must be a range."""
        assert positions is not None
        for start in range(0, len(positions), batch_size):
            part = positions[start : start + batch_size]
            yield part, self.images[part % _DRAWN]


def main() -> None:
    """Print the table, and how far the results differ."""
    source = InMemory(N)
    spec = checkpoint.ModelSpec("cnn", source.bands, ("absent", "present"), 32, 0.5)
    model = checkpoint.build(spec, seed=0).eval()
    with torch.no_grad():
        model.network.head.weight *= 20  # as confident as a trained network
    scores: dict[str, FloatArray] = {}
    everything = np.arange(N)

    def plain() -> int:
        loader = DataLoader(TensorDataset(torch.from_numpy(source.images)), batch_size=32)
        parts = []
        with torch.no_grad():
            for (x,) in loader:
                p = torch.softmax(model(x), dim=1)
                parts.append(-(p * p.log()).sum(dim=1).numpy())
        scores["plain"] = np.concatenate(parts)
        return _DRAWN

    def ours(name: str, worth_it: int, precision: Precision = "float32") -> int:
        scoring.WORTH_IT = worth_it
        (probabilities,) = scoring.predict_members(
            [model], source, everything, device=torch.device("cpu"), precision=precision
        )
        scores[name] = entropy(probabilities)[:_DRAWN]
        return N

    compiled = "owl-geo, compiled by OpenVINO"
    ways = {
        "DataLoader, batch 32": plain,
        "owl-geo, torch": lambda: ours("owl-geo, torch", N + 1),
    }
    if is_available():
        ways[compiled] = lambda: ours(compiled, N)
    if computes_bfloat16():
        in_half = "owl-geo, torch, bfloat16"
        ways[in_half] = lambda: ours(in_half, N + 1, "bfloat16")
    if computes_bfloat16() and is_available():
        both = "owl-geo, compiled, bfloat16"
        ways[both] = lambda: ours(both, N, "bfloat16")
    rates = interleaved(ways, repeats=3)
    best = list(ways)[-1]
    print(table(f"Scoring {N:,} patches of 4 x 32 x 32 on the CPU", rates, best))
    for name in list(ways)[1:]:
        apart = np.abs(scores["plain"] - scores[name]).max()
        orders = [np.argsort(-scores[way]) for way in ("plain", name)]
        same = (orders[0] == orders[1]).mean()
        first = len(np.intersect1d(*(order[:_FIRST] for order in orders)))
        alike = spearmanr(scores["plain"], scores[name]).statistic
        print(
            f"  {name}: entropies differ by at most {apart:.1e} nats, "
            f"{100 * same:.1f} % of ranks equal, rank correlation {alike:.5f}, "
            f"{first} of the first {_FIRST} the same"
        )


if __name__ == "__main__":
    main()
