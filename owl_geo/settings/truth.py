"""Ground truth that answers in place of people, and what is held out of it to judge by."""

from __future__ import annotations

from typing import Literal

from owl_geo.settings.files import File
from owl_geo.settings.sections import Section, doc


class OracleSettings(Section):
    """Ground truth that answers in the annotator's place; for simulation and comparison only."""

    path: File | None = doc(
        None, "polygons, lines, points or a class raster; not set = the source's own"
    )
    layer: str | None = doc(None, "the layer's name in a file of several layers")
    column: str | None = doc(None, "vector only: the attribute that holds the class")
    values: dict[str, tuple[str, ...]] = doc({}, "class of the run = values in the truth")
    min_share: float = doc(0.5, "smallest share of overlap that makes a class", gt=0, le=1)
    elsewhere: Literal["absent", "unknown"] = doc(
        "absent", "vector only: what ground without features counts as"
    )


class EvaluationSettings(Section):
    """The held-out part of the pool, where there is an oracle to judge by."""

    test_share: float = doc(
        0.2, "share of the patches held out: never asked about, never trained on", ge=0, lt=1
    )
    split: Literal["random", "blocks"] = doc("blocks", "blocks = neighbours stay together")
    block_size: int | None = doc(
        None, "edge of a block in patches; not set = from the pool's size", ge=1
    )
