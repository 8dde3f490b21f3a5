"""From the pool to probabilities, piece by piece: memory does not grow with the patches' pixels."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from threading import Lock

import numpy as np
import torch
from torch import Tensor, nn

from owl_geo.errors import ConfigError
from owl_geo.models.checkpoint import PatchModel
from owl_geo.models.compiled import WORTH_IT, Compiled, is_available
from owl_geo.models.randomness import seeded
from owl_geo.models.threads import one_thread_each
from owl_geo.sources.base import PatchSource, read_at
from owl_geo.types import FloatArray, IntArray
from owl_geo.work.progress import Progress
from owl_geo.work.workers import Threads, Workers, pieces

_BATCH = 64  # patches at a time; larger batches fall out of a CPU's cache
_BATCH_ON_GPU = 2048  # and smaller ones leave a GPU idle
_READERS = 4  # threads that read for a GPU

# Dropout draws from torch's one generator, so two threads of a process must take turns.
_DRAWING = Lock()


def pick_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu``, ``cuda``, ``mps``; raises ConfigError if missing."""
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    if not available.get(name, False):
        raise ConfigError(
            f"--device {name}: this machine has no such device", remedy="use auto or cpu"
        )
    return torch.device(name)


def predict_proba(
    model: PatchModel,
    source: PatchSource,
    positions: IntArray,
    *,
    concepts: FloatArray | None = None,
    device: torch.device,
    progress: Progress | None = None,
) -> FloatArray:
    """Return class probabilities, float32 ``(n, classes)``, of patches at ascending positions.

    ``concepts`` is float32 ``(n, n_concepts)``, of the same patches.
    """
    members = predict_members(
        [model], source, positions, concepts=concepts, device=device, progress=progress
    )
    only: FloatArray = members[0]
    return only


def predict_members(
    models: Sequence[PatchModel],
    source: PatchSource,
    positions: IntArray,
    *,
    concepts: FloatArray | None = None,
    passes: int = 0,
    seed: int = 0,
    device: torch.device,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> FloatArray:
    """Return every member's class probabilities, float32 ``(members, n, classes)``.

    The members are the networks of a deep ensemble (Lakshminarayanan, Pritzel, Blundell: Simple and
    Scalable Predictive Uncertainty Estimation using Deep Ensembles, 2017), one for a single model;
    with ``passes`` they are that many samples of each network with its dropout on, drawn from
    ``seed`` (Gal, Ghahramani: Dropout as a Bayesian Approximation, 2016).

    The pool is read once, whatever the number of members, and each network embeds a patch once:
    dropout stands behind the embedding, so only it and the last layer are repeated. Nothing but
    dropout is random; batch normalisation stays as it is.

    On a CPU each worker reads and scores its own pieces on one thread, so that decoding and
    convolutions never wait for each other; a large pool is scored by a compiled network where
    OpenVINO is installed. For a GPU threads of this process read ahead, whatever the workers,
    copies are asynchronous, and convolutions run in half precision.
    """
    score = _Scorer(tuple(models), source, passes, seed, device, n=len(positions))
    parts = pieces(positions, source.chunk_starts)
    firsts = np.searchsorted(positions, [part[0] for part in parts])
    known = [
        None if concepts is None else concepts[first : first + len(part)]
        for first, part in zip(firsts, parts, strict=True)
    ]
    result = np.empty((score.members, len(positions), models[0].n_classes), dtype=np.float32)
    done = 0
    with ExitStack() as stack:
        if device.type == "cpu":
            stack.enter_context(one_thread_each())
            found = (workers or Threads()).map(score, list(zip(parts, known, strict=True)))
        else:
            found = score.read_ahead(parts, known)
        for said in found:
            result[:, done : done + said.shape[1]] = said
            done += said.shape[1]
            if progress is not None:
                progress(done, len(positions))
    return result


class _Scorer:
    """Scores pieces of a pool; goes to workers whole."""

    def __init__(
        self,
        models: tuple[PatchModel, ...],
        source: PatchSource,
        passes: int,
        seed: int,
        device: torch.device,
        n: int,
    ) -> None:
        self._source = source
        self._passes = passes
        self._seed = seed
        self._device = device
        layout = torch.channels_last  # what convolutions compute in anyway, on CPU and GPU
        # copies, since the layout and dropout that suit scoring do not suit who owns the models
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
            self._compiled = tuple(Compiled(_Embed(model), shape) for model in models)

    @property
    def members(self) -> int:
        return len(self._models) * max(self._passes, 1)

    def __call__(self, item: tuple[IntArray, FloatArray | None]) -> FloatArray:
        """Read and score a piece: positions, and its concepts; returns its members."""
        positions, concepts = item
        batches = self._source.stream(positions, batch_size=_BATCH)
        return self._scored((patches for _, patches in batches), positions, concepts)

    def read_ahead(
        self, parts: Sequence[IntArray], known: Sequence[FloatArray | None]
    ) -> Iterator[FloatArray]:
        """Score the pieces here, on a GPU, while threads read the next ones."""
        pixels = Threads(_READERS).map(lambda part: read_at(self._source, part), parts)
        for part, patches, concepts in zip(parts, pixels, known, strict=True):
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
            known = None if concepts is None else self._to_device(concepts)
            with self._dropout(int(positions[0])):
                said = [
                    self._classified(model, torch.cat(parts), known)
                    for model, parts in zip(self._models, embedded, strict=True)
                ]
        found: FloatArray = torch.cat(said).cpu().numpy()
        return found

    def _embedded(self, patches: FloatArray) -> Iterator[Tensor]:
        """Yield each network's features ``(n, d)``."""
        if self._compiled:
            for embed in self._compiled:
                yield torch.from_numpy(embed(patches))
            return
        x = self._to_device(patches)
        for model in self._models:
            with _half(self._device):
                features = model.embed(x)
            yield features.float()

    def _to_device(self, values: FloatArray) -> Tensor:
        tensor = torch.from_numpy(values)
        if self._device.type == "cuda":  # a pinned copy goes on while the GPU computes
            tensor = tensor.pin_memory()
        layout = torch.channels_last if tensor.dim() == 4 else torch.contiguous_format
        return tensor.to(self._device, non_blocking=True, memory_format=layout)

    def _classified(self, model: PatchModel, features: Tensor, known: Tensor | None) -> Tensor:
        """Return ``(passes, n, classes)``."""
        repeats = max(self._passes, 1)
        parts = []
        for start in range(0, len(features), _BATCH):
            rows = slice(start, start + _BATCH)
            concepts = None if known is None else known[rows].repeat(repeats, 1)
            logits = model.classify(features[rows].repeat(repeats, 1), concepts)
            parts.append(torch.softmax(logits, dim=1).view(repeats, -1, logits.shape[1]))
        return torch.cat(parts, dim=1)

    @contextmanager
    def _dropout(self, first: int) -> Iterator[None]:
        """Give dropout random numbers of the piece's own, whoever scores it and whenever."""
        if self._passes == 0:
            yield
            return
        seed = int(np.random.SeedSequence([self._seed, first]).generate_state(1)[0])
        with _DRAWING, seeded(seed, self._device):
            yield


class _Embed(nn.Module):
    """The part of a model that no dropout touches, as a module of its own."""

    def __init__(self, model: PatchModel) -> None:
        super().__init__()
        self._model = model

    def forward(self, x: Tensor) -> Tensor:
        return self._model.embed(x)


def _half(device: torch.device) -> torch.autocast | nullcontext[None]:
    if device.type != "cuda":
        return nullcontext()
    bfloat16 = torch.cuda.is_bf16_supported()
    return torch.autocast("cuda", dtype=torch.bfloat16 if bfloat16 else torch.float16)
