"""Where networks run: names of devices, looked up only where there is a network to run.

Importing torch takes longer than everything else that a round with a head does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from owl_geo.errors import ConfigError

if TYPE_CHECKING:
    import torch

    Device = str | torch.device  # ``auto``, ``cpu``, ``cuda``, ``mps``, or what torch calls it

_EVERYWHERE = ("auto", "cpu")


def check_device(device: Device) -> None:
    """Raise ConfigError where this machine has no such device; see ``pick_device``."""
    if device not in _EVERYWHERE:
        pick_device(device)


def pick_device(device: Device) -> torch.device:
    """Return the device for ``auto``, ``cpu``, ``cuda``, ``mps``; ConfigError if missing."""
    import torch

    if not isinstance(device, str):
        return device
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return torch.device(next(kind for kind, is_here in available.items() if is_here))
    if not available.get(device, False):
        raise ConfigError(
            f"--device {device}: this machine has no such device", remedy="use auto or cpu"
        )
    return torch.device(device)
