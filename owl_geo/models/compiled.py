"""A network compiled for this processor, by OpenVINO where it is installed.

OpenVINO fuses convolution, activation and pooling, and lays weights out for the processor's
registers. It computes in float32 here, whatever it would choose: reduced precision would make ranks
depend on the processor.
"""

from __future__ import annotations

import threading
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import nn

from owl_geo.types import FloatArray
from owl_geo.work.workers import processors

# Patches from which on a second or two of compiling come back.
WORTH_IT = 50_000


def is_available() -> bool:
    """Whether OpenVINO is installed; ``pip install 'owl-geo[fast]'`` does."""
    return find_spec("openvino") is not None


class Compiled:
    """A module from patches ``(n, bands, height, width)`` to ``(n, d)``, both float32 NumPy arrays.

    Compiled where it is first called, in each process once; threads may call it side by side, each
    then computes on one processor. Travels to other processes as the module.
    """

    _compiled: Any

    def __init__(self, module: nn.Module, shape: tuple[int, int, int]) -> None:
        self.__setstate__((module.eval(), shape))

    def __call__(self, patches: FloatArray) -> FloatArray:
        request = getattr(self._requests, "request", None)
        if request is None:
            with self._lock:
                if self._compiled is None:
                    self._compiled = self._compile()
            request = self._requests.request = self._compiled.create_infer_request()
        return np.array(request.infer({0: patches})[0], dtype=np.float32)

    def __getstate__(self) -> tuple[nn.Module, tuple[int, int, int]]:
        return self._module, self._shape

    def __setstate__(self, state: tuple[nn.Module, tuple[int, int, int]]) -> None:
        self._module, self._shape = state  # the shape: bands, height, width
        self._lock = threading.Lock()
        self._requests = threading.local()
        self._compiled = None

    def _compile(self) -> Any:
        import openvino

        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # tracing warns of what is constant by intent
            graph = openvino.convert_model(
                self._module,
                example_input=torch.zeros(2, *self._shape),
                input=[openvino.PartialShape([-1, *self._shape])],
            )
        n = processors()
        options = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": n,
            "NUM_STREAMS": n,
        }
        return openvino.Core().compile_model(graph, "CPU", options)
