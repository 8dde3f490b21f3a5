"""A network compiled for this processor by OpenVINO, if that is installed.

OpenVINO fuses convolution, activation and pooling, and arranges weights for the processor's
registers. Left alone it would choose the precision itself; here it is told, since ranks depend on
the processor where it is less than float32.
"""

from __future__ import annotations

import threading
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import nn

from owl_geo.settings.learning import Precision
from owl_geo.types import FloatArray
from owl_geo.work.workers import processors

# Number of patches from which compiling, which takes a second or two, pays off.
WORTH_IT = 50_000

_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}


def is_available() -> bool:
    """Whether OpenVINO is installed, as by ``pip install 'owl-geo[fast]'``."""
    return find_spec("openvino") is not None


class Compiled:
    """A module from patches ``(n, bands, height, width)`` to ``(n, d)``, both float32 NumPy arrays.

    It is compiled on its first call, once per process. Threads may call it at the same time; each
    call then computes on one processor. It is sent to other processes uncompiled.
    """

    _compiled: Any

    def __init__(
        self, module: nn.Module, shape: tuple[int, int, int], precision: Precision = "float32"
    ) -> None:
        self.__setstate__((module.eval(), shape, precision))

    def __call__(self, patches: FloatArray) -> FloatArray:
        request = getattr(self._requests, "request", None)
        if request is None:
            with self._lock:
                if self._compiled is None:
                    self._compiled = self._compile()
            request = self._requests.request = self._compiled.create_infer_request()
        return np.array(request.infer({0: patches})[0], dtype=np.float32)

    def __getstate__(self) -> tuple[nn.Module, tuple[int, int, int], Precision]:
        return self._module, self._shape, self._precision

    def __setstate__(self, state: tuple[nn.Module, tuple[int, int, int], Precision]) -> None:
        self._module, self._shape, self._precision = state  # the shape: bands, height, width
        self._lock = threading.Lock()
        self._requests = threading.local()
        self._compiled = None

    def _compile(self) -> Any:
        import openvino

        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # tracing warns about intended constants
            graph = openvino.convert_model(
                self._module,
                example_input=torch.zeros(2, *self._shape),
                input=[openvino.PartialShape([-1, *self._shape])],
            )
        n = processors()
        options = {
            "INFERENCE_PRECISION_HINT": _HINTS[self._precision],
            "INFERENCE_NUM_THREADS": n,
            "NUM_STREAMS": n,
        }
        return openvino.Core().compile_model(graph, "CPU", options)
