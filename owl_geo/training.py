"""Fit a model on the answered patches, and let Reptile move it as new answers arrive.

Both work on parameters only. Buffers (band statistics; running means, should a model have them)
stay as they are in the meta-update: an average of two normalisation states is the state of no data.
Each fit starts a new Adam: moments gathered before the meta-update describe weights that are gone,
and a run that is resumed then needs nothing but the weights.

Dropout draws from torch's own generator; it is forked and seeded here, and put back afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from owl_geo.config import TrainingSettings
from owl_geo.reptile import Reptile, Weights
from owl_geo.types import FloatArray, IntArray


def fit(
    model: nn.Module,
    images: FloatArray,
    labels: IntArray,
    settings: TrainingSettings,
    *,
    seed: int,
    device: torch.device,
) -> float:
    """Train in place with Adam on cross-entropy; return the mean loss of the last epoch.

    ``images`` is float32 ``(n, bands, height, width)``, ``labels`` int64 ``(n,)`` of class numbers.
    Without patches or epochs nothing happens and the loss is not-a-number.
    """
    n = len(labels)
    if n == 0 or settings.epochs == 0:
        return math.nan
    x = torch.from_numpy(images).to(device)
    y = torch.from_numpy(labels).to(device)
    rng = np.random.default_rng(seed)
    total = 0.0
    with _seeded(seed, device):
        model.to(device).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
        for _ in range(settings.epochs):
            total = 0.0
            order = torch.from_numpy(rng.permutation(n)).to(device)
            for part in torch.split(order, settings.batch_size):
                optimizer.zero_grad()
                loss = cross_entropy(model(x[part]), y[part])
                torch.autograd.backward(loss)
                optimizer.step()
                total += float(loss.detach()) * len(part)
    model.eval()
    return total / n


def meta_update(
    model: nn.Module,
    images: FloatArray,
    labels: IntArray,
    reptile: Reptile,
    *,
    seed: int,
    device: torch.device,
) -> float:
    """Move the model by one Reptile step on newly answered patches; return the query loss.

    A random half of the patches is the support set, which the inner SGD adapts to; the other half
    is the query set, on which the adapted weights are judged before theta moves. With fewer than
    two patches there is no query set: nothing moves, and the loss is not-a-number.
    """
    n = len(labels)
    if n < 2:
        return math.nan
    order = np.random.default_rng(seed).permutation(n)
    support, query = np.split(order, [n // 2])
    x = torch.from_numpy(images).to(device)
    y = torch.from_numpy(labels).to(device)
    with _seeded(seed, device):
        model.to(device).train()
        theta: Weights = {name: p.detach() for name, p in model.named_parameters()}

        def inner_step(weights: Weights) -> Weights:
            return _sgd_step(model, weights, x[support], y[support], reptile.inner_lr)

        adapted = reptile.adapt(theta, inner_step)
        model.eval()
        with torch.inference_mode():
            query_loss = float(
                cross_entropy(functional_call(model, dict(adapted), (x[query],)), y[query])
            )
        with torch.no_grad():
            for name, value in reptile.move(theta, adapted).items():
                model.get_parameter(name).copy_(value)
    return query_loss


def _sgd_step(model: nn.Module, weights: Weights, x: Tensor, y: Tensor, lr: float) -> Weights:
    """One plain SGD step on the whole support set; the model's own parameters are not touched."""
    leaves = {name: value.detach().requires_grad_() for name, value in weights.items()}
    loss = cross_entropy(functional_call(model, leaves, (x,)), y)
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return {
        name: (value - lr * gradient).detach()
        for (name, value), gradient in zip(leaves.items(), gradients, strict=True)
    }


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Fork torch's generators and seed the forks; what the caller had comes back at the end."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
