"""The numbers that networks compute features with on a CPU: float32, or bfloat16 where asked for.

bfloat16 is float32 with 8 significant bits in place of 24. Weights and patches are multiplied in
it, sums stay in float32. How sums are grouped depends on the processor, and now shows in the third
digit: so do the ranks of patches that are nearly equal.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from functools import cache

import torch

from owl_geo.settings.learning import Precision

_log = logging.getLogger("owl_geo")


def usable_precision(precision: Precision, device: torch.device) -> Precision:
    """Return the precision to compute with: float32 where the processor has no bfloat16.

    That is said in a warning, since emulating it would be slower than float32. A GPU computes in
    half precision in any case, see ``autocast``.
    """
    if precision == "float32" or device.type != "cpu" or computes_bfloat16():
        return precision
    _warn()
    return "float32"


@cache
def _warn() -> None:
    """Say once in a process what holds for all of it."""
    _log.warning(
        "model.precision is bfloat16, but this processor has no instructions for it (AVX-512 BF16, "
        "AMX); networks are scored in float32"
    )


def computes_bfloat16() -> bool:
    """Whether torch knows of instructions for bfloat16 in this processor."""
    if not hasattr(torch.cpu, "get_capabilities"):  # torch 2.6; processors with AMX have it too
        return bool(torch.cpu._is_avx512_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(value is True for name, value in capabilities.items() if "bf16" in name)


def autocast(device: torch.device, precision: Precision) -> torch.autocast | nullcontext[None]:
    """Return the context in which a network computes features on a device."""
    if device.type == "cuda":
        on_gpu = torch.cuda.is_bf16_supported()
        return torch.autocast("cuda", dtype=torch.bfloat16 if on_gpu else torch.float16)
    if device.type == "cpu" and precision == "bfloat16":
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return nullcontext()
