"""What a store offers to a team besides keeping answers: batches as layers, and administration.

Both are optional; ``LabelStore.layers`` and ``LabelStore.administration`` raise without them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import shapely
from pyproj import CRS


@dataclass(frozen=True)
class BatchLayer:
    """A batch on its way into a store.

    ``kinds`` has the SQL type of every attribute except those that annotators fill in, in the
    order of the file; ``rows`` has their values, ``fids`` the features' numbers, ``polygons`` the
    footprints in ``crs``, all in the same order. Answers up to the number ``after`` came before the
    batch, and answer none of its patches: those are asked again.
    """

    run_id: str
    batch_id: str
    round: int
    info: Mapping[str, object]
    kinds: Mapping[str, str]
    fids: Sequence[int]
    rows: Sequence[Sequence[object]]
    polygons: Sequence[shapely.Polygon]
    crs: CRS | None
    style: str  # QML
    after: int = 0

    @property
    def name(self) -> str:
        """The name of the layer."""
        return f"batch_{self.batch_id}"


@dataclass(frozen=True)
class Publication:
    """A batch as a layer of a store."""

    layer: str
    address: str  # of the layer, without a user: postgresql://HOST:PORT/DB?schema=...&layer=...
    directions: str  # where QGIS finds it: "a PostgreSQL connection to the database ..."
    is_new: bool  # was not there before


class Layers(Protocol):
    """Where batches become layers that several people can label at once."""

    def publish(
        self, batch: BatchLayer, *, shared: Collection[str], n_annotators: int
    ) -> Publication:
        """Make the batch a layer, whole or not at all; one that exists already stays.

        The patches in ``shared`` need answers from ``n_annotators``, the others from one. Raises
        RunError.
        """


@dataclass(frozen=True)
class Lease:
    """Who has taken a patch, and until when it is reserved for them."""

    patch_id: str
    annotator: str
    expires_at: datetime  # in UTC, without a time zone


@dataclass(frozen=True)
class Published:
    """A batch that annotators can open."""

    batch_id: str
    layer: str
    patches: int
    answered: int  # patches with answers from as many annotators as they need


@dataclass(frozen=True)
class StoreState:
    """What a store holds for one run at one moment."""

    answers: dict[str, int]  # by annotator, most first; includes withdrawn and replaced ones
    batches: tuple[Published, ...]  # oldest first
    leases: tuple[Lease, ...]  # not yet expired, the longest first


class Administration(Protocol):
    """A run's store as its administrator sees it: set up, opened to annotators, inspected.

    Every method raises RunError where the store does not answer or does not permit it.
    """

    def set_up(
        self, classes: Sequence[str], positive: str, lease_time: timedelta | None = None
    ) -> bool:
        """Make the store, or bring it up to date, and register the run; answers stay.

        ``lease_time`` is how long a patch is reserved for whoever takes it; None keeps it as is.
        Returns whether the run was new to the store.
        """

    def has_account(self, name: str) -> bool:
        """Return whether ``name`` can log in to the store, annotator or not."""

    def add_annotator(self, name: str, password: str | None) -> bool:
        """Let ``name`` label, with a new account if there is none; return whether it is new."""

    def revoke_annotator(self, name: str) -> None:
        """Revoke the right to label; answers stay."""

    def annotators(self) -> list[str]:
        """Return who may label, sorted by name."""

    def state(self) -> StoreState:
        """Return how much each annotator answered, the published batches, and the leases."""
