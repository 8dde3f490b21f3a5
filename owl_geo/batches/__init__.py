"""The file that goes from the run to annotators and back: written once, edited in QGIS, read."""

from owl_geo.batches.answers import (
    Beside,
    IssuedBatch,
    Notes,
    answers_of,
    misplaced,
    noticed_in,
    warn_of,
    warn_of_future,
    warn_of_like_names,
    warn_of_misplaced,
)
from owl_geo.batches.grid import PoolGrids, grid_info
from owl_geo.batches.reading import BatchFile, BatchTable, count_answers, read_batch, read_table
from owl_geo.batches.style import batch_style, decimals_of
from owl_geo.batches.team import dealt, n_shared
from owl_geo.batches.writing import write_batch

__all__ = [
    "BatchFile",
    "BatchTable",
    "Beside",
    "IssuedBatch",
    "Notes",
    "PoolGrids",
    "answers_of",
    "batch_style",
    "count_answers",
    "dealt",
    "decimals_of",
    "grid_info",
    "misplaced",
    "n_shared",
    "noticed_in",
    "read_batch",
    "read_table",
    "warn_of",
    "warn_of_future",
    "warn_of_like_names",
    "warn_of_misplaced",
    "write_batch",
]
