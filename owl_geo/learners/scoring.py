"""Scores a pool piece by piece, so that memory does not grow with the number of pixels."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Lock

import numpy as np
import torch
from torch import Tensor, nn

from owl_geo.models.checkpoint import PatchModel
from owl_geo.models.compiled import WORTH_IT, Compiled, is_available
from owl_geo.models.precision import autocast, usable_precision
from owl_geo.models.randomness import seeded
from owl_geo.models.threads import one_thread_each
from owl_geo.settings.learning import Precision
from owl_geo.sources.base import PatchSource, read_at
from owl_geo.types import FloatArray, IntArray
from owl_geo.work.progress import Progress
from owl_geo.work.workers import Threads, Workers, pieces

_BATCH = 64  # patches at a time; larger batches do not fit a CPU's cache
_BATCH_ON_GPU = 2048  # smaller batches leave a GPU idle
_READERS = 4  # threads that read for a GPU

# Dropout draws from torch's only generator, so the threads of a process must take turns.
_DRAWING = Lock()


def predict_members(
    models: Sequence[PatchModel],
    source: PatchSource,
    positions: IntArray,
    *,
    concepts: FloatArray | None = None,
    passes: int = 0,
    seed: int = 0,
    device: torch.device,
    precision: Precision = "float32",
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> FloatArray:
    """Return every member's class probabilities, float32 ``(members, n, classes)``.

    The members are the networks of a deep ensemble (Lakshminarayanan, Pritzel, Blundell: Simple and
    Scalable Predictive Uncertainty Estimation using Deep Ensembles, 2017), one for a single model;
    with ``passes`` they are that many samples of each network with dropout active, drawn from
    ``seed`` (Gal, Ghahramani: Dropout as a Bayesian Approximation, 2016).

    The pool is read once, whatever the number of members, and each network embeds a patch once:
    dropout follows the embedding, so only dropout and the last layer are repeated. Only dropout is
    random; batch normalisation is unchanged.

    On a CPU each worker reads and scores its own pieces on one thread, so that decoding and
    convolutions never wait for each other; a large pool is scored by a compiled network where
    OpenVINO is installed; ``precision`` is that of the embedding. For a GPU, threads of this
    process read ahead whatever ``workers`` is, copies are asynchronous, and convolutions run in
    half precision in any case.
    """
    usable = usable_precision(precision, device)
    score = _Scorer(tuple(models), source, passes, seed, device, usable, n=len(positions))
    parts = pieces(positions, source.chunk_starts)
    firsts = np.searchsorted(positions, [part[0] for part in parts])
    concept_parts = [
        None if concepts is None else concepts[first : first + len(part)]
        for first, part in zip(firsts, parts, strict=True)
    ]
    result = np.empty((score.members, len(positions), models[0].n_classes), dtype=np.float32)
    done = 0
    with ExitStack() as stack:
        if device.type == "cpu":
            stack.enter_context(one_thread_each())
            scored = (workers or Threads()).map(score, list(zip(parts, concept_parts, strict=True)))
        else:
            scored = score.read_ahead(parts, concept_parts)
        for members in scored:
            result[:, done : done + members.shape[1]] = members
            done += members.shape[1]
            if progress is not None:
                progress(done, len(positions))
    return result


class _Scorer:
    """Scores pieces of a pool; sent to workers as a whole."""

    def __init__(
        self,
        models: tuple[PatchModel, ...],
        source: PatchSource,
        passes: int,
        seed: int,
        device: torch.device,
        precision: Precision,
        n: int,
    ) -> None:
        self._source = source
        self._passes = passes
        self._seed = seed
        self._device = device
        self._precision = precision
        layout = torch.channels_last  # the layout convolutions use internally, on CPU and GPU
        # copies, since the owner of the models needs another layout and dropout than scoring does
        self._models = tuple(
            copy.deepcopy(model).to(device).to(memory_format=layout).eval() for model in models
        )
        for model in self._models:
            for layer in model.modules():
                if isinstance(layer, nn.Dropout):
                    layer.train(passes > 0)

        self._compiled: tuple[Compiled, ...] = ()
        if device.type == "cpu" and n >= WORTH_IT and source.patch_size > 1 and is_available():
            shape = (len(source.bands), source.patch_size, source.patch_size)
            self._compiled = tuple(Compiled(_Embed(model), shape, precision) for model in models)

    @property
    def members(self) -> int:
        return len(self._models) * max(self._passes, 1)

    def __call__(self, item: tuple[IntArray, FloatArray | None]) -> FloatArray:
        """Read and score a piece, given as positions and concepts; return its members."""
        positions, concepts = item
        batches = self._source.stream(positions, batch_size=_BATCH)
        return self._scored((patches for _, patches in batches), positions, concepts)

    def read_ahead(
        self, parts: Sequence[IntArray], concept_parts: Sequence[FloatArray | None]
    ) -> Iterator[FloatArray]:
        """Score the pieces in this thread, on a GPU, while others read the next ones."""
        pixels = Threads(_READERS).map(lambda part: read_at(self._source, part), parts)
        for part, patches, concepts in zip(parts, pixels, concept_parts, strict=True):
            starts = range(0, len(part), _BATCH_ON_GPU)
            batches = (patches[start : start + _BATCH_ON_GPU] for start in starts)
            yield self._scored(batches, part, concepts)

    def _scored(
        self, batches: Iterator[FloatArray], positions: IntArray, concepts: FloatArray | None
    ) -> FloatArray:
        with torch.inference_mode():
            embedded: list[list[Tensor]] = [[] for _ in self._models]
            for patches in batches:
                for features, parts in zip(self._embedded(patches), embedded, strict=True):
                    parts.append(features)
            tensor = None if concepts is None else self._to_device(concepts)
            with self._dropout(int(positions[0])):
                members = [
                    self._classified(model, torch.cat(parts), tensor)
                    for model, parts in zip(self._models, embedded, strict=True)
                ]
        result: FloatArray = torch.cat(members).cpu().numpy()
        return result

    def _embedded(self, patches: FloatArray) -> Iterator[Tensor]:
        """Yield each network's features ``(n, d)``."""
        if self._compiled:
            for embed in self._compiled:
                yield torch.from_numpy(embed(patches))
            return
        x = self._to_device(patches)
        for model in self._models:
            with autocast(self._device, self._precision):
                features = model.embed(x)
            yield features.float()

    def _to_device(self, values: FloatArray) -> Tensor:
        tensor = torch.from_numpy(values)
        if self._device.type == "cuda":  # a pinned copy proceeds while the GPU computes
            tensor = tensor.pin_memory()
        layout = torch.channels_last if tensor.dim() == 4 else torch.contiguous_format
        return tensor.to(self._device, non_blocking=True, memory_format=layout)

    def _classified(self, model: PatchModel, features: Tensor, concepts: Tensor | None) -> Tensor:
        """Return ``(passes, n, classes)``."""
        repeats = max(self._passes, 1)
        parts = []
        for start in range(0, len(features), _BATCH):
            rows = slice(start, start + _BATCH)
            own = None if concepts is None else concepts[rows].repeat(repeats, 1)
            logits = model.classify(features[rows].repeat(repeats, 1), own)
            parts.append(torch.softmax(logits, dim=1).view(repeats, -1, logits.shape[1]))
        return torch.cat(parts, dim=1)

    @contextmanager
    def _dropout(self, first: int) -> Iterator[None]:
        """Give dropout random numbers of the piece's own, whichever worker scores it and when."""
        if self._passes == 0:
            yield
            return
        seed = int(np.random.SeedSequence([self._seed, first]).generate_state(1)[0])
        with _DRAWING, seeded(seed, self._device):
            yield


class _Embed(nn.Module):
    """The part of a model before its dropout, as a separate module."""

    def __init__(self, model: PatchModel) -> None:
        super().__init__()
        self._model = model

    def forward(self, x: Tensor) -> Tensor:
        return self._model.embed(x)
