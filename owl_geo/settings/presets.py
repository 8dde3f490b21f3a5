"""Groups of settings that have a name; each is applied on top of a run's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The tutorial's exact method: a CNN from scratch on the image alone, fixed weights, the weighted
# sum, plain Reptile, a random start, and nothing else.
TUTORIAL: Mapping[str, Any] = {
    "model": {
        "kind": "cnn",
        "frozen": False,
        "head": "committee",
        "weights": "none",
        "concepts": False,
    },
    "reptile": {"kind": "plain"},
    "uncertainty": {"measure": "entropy", "members": "single"},
    "acquisition": {
        "strategy": "concept",
        "combine": "sum",
        "relevance": "fixed",
        "start": "random",
        "diversity": "none",
        "min_distance": 0.0,
        "audit_share": 0.0,
    },
}

PRESETS: Mapping[str, Mapping[str, Any]] = {"tutorial": TUTORIAL}
