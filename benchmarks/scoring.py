"""The pool scored by the lightweight CNN, against a plain DataLoader loop of batch 32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.timing import interleaved, table
from owl_geo import SyntheticSource, entropy
from owl_geo.models import checkpoint
from owl_geo.scoring import predict_proba

N = 8192


class InMemory(SyntheticSource):
    """The synthetic patches, drawn once, so that only the scoring is timed."""

    def __init__(self, n_samples: int) -> None:
        super().__init__(n_samples)
        self.ids = self.index["patch_id"].tolist()
        self.images = self.read(self.ids)

    def stream(
        self, ids: Sequence[str] | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield slices of what is in memory; ``ids`` is the whole pool here."""
        for start in range(0, len(self.ids), batch_size):
            stop = start + batch_size
            yield self.ids[start:stop], self.images[start:stop]


def main() -> None:
    """Print the table, and how far the entropies of the two ways are apart."""
    source = InMemory(N)
    spec = checkpoint.ModelSpec("cnn", source.bands, ("absent", "present"), 32, 0.5)
    model = checkpoint.build(spec, seed=0).eval()
    plain_model = checkpoint.build(spec, seed=0).eval()  # scoring changes its model's layout
    scores: dict[str, np.ndarray] = {}

    def plain() -> int:
        loader = DataLoader(TensorDataset(torch.from_numpy(source.images)), batch_size=32)
        parts = []
        with torch.no_grad():
            for (x,) in loader:
                p = torch.softmax(plain_model(x), dim=1)
                parts.append(-(p * p.log()).sum(dim=1).numpy())
        scores["plain"] = np.concatenate(parts)
        return N

    def ours() -> int:
        p = predict_proba(model, source, source.ids, device=torch.device("cpu"))
        scores["ours"] = entropy(p)
        return N

    rates = interleaved({"DataLoader, batch 32": plain, "owl-geo": ours})
    print(table(f"Scoring {N:,} patches of 4 x 32 x 32 on the CPU", rates, "owl-geo"))
    apart = np.abs(scores["plain"] - scores["ours"]).max()
    print(f"  largest difference of an entropy: {apart:.1e} nats")


if __name__ == "__main__":
    main()
