"""The file between the run and the people who label: written once, edited in QGIS, read back."""

from owl_geo.batches.answers import IssuedBatch, Notes, answers_of
from owl_geo.batches.reading import BatchFile, read_batch
from owl_geo.batches.team import dealt
from owl_geo.batches.writing import write_batch

__all__ = ["BatchFile", "IssuedBatch", "Notes", "answers_of", "dealt", "read_batch", "write_batch"]
