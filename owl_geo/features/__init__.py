"""Features: each patch as a row of numbers, computed once for the whole pool and kept."""

KEPT_SCENES = "scenes.json"  # the ids of the scenes whose features are kept
