"""What ``init`` finds out before anybody labels a patch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from searches import make
from torchvision.models import efficientnet_b0, resnet18

from owl_geo import query
from owl_geo.errors import ConfigError


def test_weights_of_another_network_are_refused_at_once(tmp_path: Path) -> None:
    weights = tmp_path / "w.pth"
    torch.save(efficientnet_b0().state_dict(), weights)
    model = {"kind": "resnet18", "weights": str(weights)}
    with pytest.raises(ConfigError, match="these are not weights of resnet18"):
        make(tmp_path / "run", model=model)
    assert not (tmp_path / "run").exists()
    torch.save(resnet18().state_dict(), weights)
    run = make(tmp_path / "run", model=model)
    assert query(run, device="cpu").number == 0
