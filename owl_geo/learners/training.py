"""Fits a model on the answered patches, and updates it by Reptile as new answers arrive.

Both change parameters only. The meta-update leaves buffers (band statistics, the statistics of
batch normalisation) alone: the average of two normalisation states describes no data. Each fit
starts a new Adam: moments gathered before the meta-update describe weights that no longer exist,
and a resumed run then needs only the weights.

A backbone's trunk learns at a tenth of either learning rate (``PatchModel.rates``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from owl_geo.learners.reptile import Reptile, Weights, mean_weights
from owl_geo.models.checkpoint import PatchModel
from owl_geo.models.randomness import seeded
from owl_geo.settings.learning import TrainingSettings
from owl_geo.types import FloatArray, IntArray
from owl_geo.work.progress import Progress

_RIDGE = 0.5  # the usual penalty of a logistic regression is half the squared weights


@dataclass(frozen=True)
class MetaBatch:
    """The tasks of one meta-update, as positions among the patches passed in."""

    supports: Sequence[IntArray]  # one support set per task
    query: IntArray  # not in any support set


def fit(
    model: PatchModel,
    images: FloatArray,
    labels: IntArray,
    settings: TrainingSettings,
    *,
    concepts: FloatArray | None = None,
    seed: int,
    device: torch.device,
    progress: Progress | None = None,
) -> float:
    """Train in place with Adam on cross-entropy; return the mean loss of the last epoch.

    If the model sees concepts, each fit starts its weights for them from a logistic regression on
    the concepts alone, and Adam continues from there. With a few dozen patches, a network learns
    every image by heart before the few weights of the concepts have moved, which leaves them no
    error to learn from.

    ``images`` is float32 ``(n, bands, height, width)``, ``labels`` int64 ``(n,)`` of class numbers,
    ``concepts`` float32 ``(n, n_concepts)`` if the model sees any; ``progress`` counts epochs.
    Without patches or epochs, nothing happens and the loss is not-a-number.
    """
    n = len(labels)
    if n == 0 or settings.epochs == 0:
        return math.nan
    data = _Examples.on(device, images, labels, concepts)
    rng = np.random.default_rng(seed)
    total = 0.0
    with seeded(seed, device):
        model.to(device).train()
        if data.concepts is not None:
            _start_from_concepts(model, data.concepts, data.labels)
        weights = dict(model.named_parameters())
        rates = model.rates()
        optimizer = torch.optim.Adam(
            [
                {
                    "params": [weights[name] for name in weights if rates[name] == rate],
                    "lr": settings.learning_rate * rate,
                }
                for rate in sorted(set(rates.values()))
            ]
        )
        for epoch in range(settings.epochs):
            total = 0.0
            for part in np.split(
                rng.permutation(n), range(settings.batch_size, n, settings.batch_size)
            ):
                optimizer.zero_grad()
                loss = data.loss(model, weights, part)
                torch.autograd.backward(loss)
                optimizer.step()
                total += float(loss.detach()) * len(part)
            if progress is not None:
                progress(epoch + 1, settings.epochs)
    model.eval()
    return total / n


def meta_update(
    model: PatchModel,
    images: FloatArray,
    labels: IntArray,
    reptile: Reptile,
    *,
    concepts: FloatArray | None = None,
    batch: MetaBatch | None = None,
    seed: int,
    device: torch.device,
) -> float:
    """Move the model by one Reptile step; return the query loss.

    The inner SGD adapts theta to each support set of ``batch`` separately. The adapted weights are
    evaluated on the query set before theta moves towards their mean; the loss is the mean over the
    tasks. Without a ``batch``, the patches are one task (``halves``). Without a support set or a
    query set, the weights stay as they are and the loss is not-a-number. They also stay if a task
    has diverged, so that the loss is not finite.
    """
    batch = halves(np.arange(len(labels)), seed) if batch is None else batch
    supports = [support for support in batch.supports if len(support)]
    if not supports or len(batch.query) == 0:
        return math.nan
    data = _Examples.on(device, images, labels, concepts)
    adapted: list[Weights] = []
    with seeded(seed, device):
        model.to(device).train()
        rates = model.rates()
        theta: Weights = {name: p.detach() for name, p in model.named_parameters()}
        for support in supports:

            def inner_step(weights: Weights, support: IntArray = support) -> Weights:
                return _sgd_step(model, weights, data, support, reptile.inner_lr, rates)

            adapted.append(reptile.adapt(theta, inner_step))
        model.eval()
        with torch.inference_mode():
            losses = [float(data.loss(model, weights, batch.query)) for weights in adapted]
        loss = sum(losses) / len(losses)
        if not math.isfinite(loss):
            return loss
        with torch.no_grad():
            for name, value in reptile.move(theta, mean_weights(adapted)).items():
                model.get_parameter(name).copy_(value)
    return loss


def halves(positions: IntArray, seed: int) -> MetaBatch:
    """Return one task: a random half of the patches to adapt to, and the other half as query set.

    With fewer than two patches, the support set is empty.
    """
    order = np.random.default_rng(seed).permutation(positions)
    support, query = np.split(order, [len(positions) // 2])
    return MetaBatch((support,), query)


@dataclass(frozen=True)
class _Examples:
    """Answered patches on the device where the model learns."""

    images: Tensor
    labels: Tensor
    concepts: Tensor | None

    @classmethod
    def on(
        cls, device: torch.device, images: FloatArray, labels: IntArray, concepts: FloatArray | None
    ) -> _Examples:
        return cls(
            torch.from_numpy(images).to(device),
            torch.from_numpy(labels).to(device),
            None if concepts is None else torch.from_numpy(concepts).to(device),
        )

    def loss(self, model: PatchModel, weights: Weights, positions: IntArray) -> Tensor:
        """Return the mean cross-entropy of the model, with these weights, on some examples."""
        chosen = torch.from_numpy(positions).to(self.images.device)
        concepts = None if self.concepts is None else self.concepts[chosen]
        logits = functional_call(model, dict(weights), (self.images[chosen], concepts))
        return cross_entropy(logits, self.labels[chosen])


def _start_from_concepts(model: PatchModel, concepts: Tensor, labels: Tensor) -> None:
    """Set the last layer's bias and its columns for concepts as if there were no image."""
    head = model.network.head
    n, width = concepts.shape
    start = torch.zeros(head.out_features, width + 1, device=concepts.device, requires_grad=True)
    with_ones = torch.cat([concepts, concepts.new_ones(n, 1)], dim=1)
    optimizer = torch.optim.LBFGS([start], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        penalty = _RIDGE * start.square().sum() / n
        loss = cross_entropy(with_ones @ start.T, labels) + penalty
        torch.autograd.backward(loss)
        return float(loss.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch lacks the type
    with torch.no_grad():
        head.weight[:, head.in_features - width :] = start[:, :width]
        head.bias.copy_(start[:, width])


def _sgd_step(
    model: PatchModel,
    weights: Weights,
    data: _Examples,
    support: IntArray,
    lr: float,
    rates: dict[str, float],
) -> Weights:
    """Return weights after one plain SGD step on the support set; the model is left unchanged."""
    leaves = {name: value.detach().requires_grad_() for name, value in weights.items()}
    loss = data.loss(model, leaves, support)
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return {
        name: (value - lr * rates[name] * gradient).detach()
        for (name, value), gradient in zip(leaves.items(), gradients, strict=True)
    }
