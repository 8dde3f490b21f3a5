"""A patch as a row of numbers, computed once for the whole pool and kept."""

KEPT_SCENES = "scenes.json"  # what told the scenes apart whose features are kept
