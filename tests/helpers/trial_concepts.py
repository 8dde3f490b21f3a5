"""Two kinds of concept that owl-geo does not have, as somebody would add them.

``registered`` is what two lines in ``settings/concepts.py`` would be, for the length of a ``with``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args

import numpy as np
import pandas as pd
from pydantic import Field

from owl_geo.concepts.kind import ConceptKind, Values, Work
from owl_geo.errors import LayerError
from owl_geo.settings.concepts import ConceptSection
from owl_geo.settings.config import Settings
from owl_geo.settings.files import File


class BetweenConcept(ConceptSection):
    """Yes where a number lies between two others."""

    home = "trial_concepts:Between"
    is_yes_no = True

    kind: Literal["between"] = "between"
    of: str = Field(..., description="another concept")
    low: float = Field(0.0, description="from this")
    high: float = Field(1.0, description="to this")


class ListedConcept(ConceptSection):
    """A number that a CSV file gives for each patch."""

    home = "trial_concepts:Listed"
    unit = "m"

    kind: Literal["listed"] = "listed"
    path: File = Field(..., description="a CSV file")


class Between(ConceptKind[BetweenConcept]):
    """Whether a number lies between two others."""

    compares = "number"

    @property
    def of(self) -> str:
        return self.settings.of

    def values(self, index: pd.DataFrame) -> Values:
        return "yes/no"

    def column(self, work: Work) -> np.ndarray:
        values = work.columns[self.of]
        return (values >= self.settings.low) & (values <= self.settings.high)


class Listed(ConceptKind[ListedConcept]):
    """A column of a file."""

    def values(self, index: pd.DataFrame) -> Values:
        return "number"

    def column(self, work: Work) -> np.ndarray:
        try:
            table = pd.read_csv(self.settings.path).set_index("patch_id")["value"]
        except (OSError, ValueError, KeyError) as error:
            raise LayerError(f"{self.settings.path} cannot be read: {error}") from error
        return table.reindex(work.index["patch_id"]).to_numpy(dtype=np.float64)


def write_list(path: Path, patch_ids: list[str]) -> Path:
    """Write a value for each patch: its place in the list."""
    pd.DataFrame({"patch_id": patch_ids, "value": np.arange(len(patch_ids))}).to_csv(path)
    return path


@contextmanager
def registered() -> Iterator[None]:
    """Make the two kinds known."""
    field = Settings.model_fields["concepts"]
    before: Any = field.annotation
    name, concept = get_args(before)
    kinds = get_args(get_args(concept)[0])
    more = Union[(*kinds, BetweenConcept, ListedConcept)]
    field.annotation = dict[name, Annotated[more, Field(discriminator="kind")]]
    Settings.model_rebuild(force=True)
    try:
        yield
    finally:
        field.annotation = before
        Settings.model_rebuild(force=True)
