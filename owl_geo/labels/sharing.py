"""What a store offers to a team besides keeping answers: batches as layers, and administration.

A store need offer neither; ``LabelStore.layers`` and ``LabelStore.administration`` refuse then.
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

    ``kinds`` has the SQL type of every attribute but those that annotators fill in, in the order
    of the file; ``rows`` their values, ``fids`` the features' numbers, ``polygons`` the footprints
    in ``crs``, all in one order.
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
    """Where batches become layers in which people answer, several at once."""

    def publish(
        self, batch: BatchLayer, *, shared: Collection[str], n_annotators: int
    ) -> Publication:
        """Make the batch a layer, whole or not at all; one that is there already stays.

        The patches in ``shared`` are wanted by ``n_annotators``, the others by one. Raises
        RunError.
        """


@dataclass(frozen=True)
class Lease:
    """Who is looking at a patch, and until when nobody else is given it."""

    patch_id: str
    annotator: str
    expires_at: datetime  # in UTC, without saying so


@dataclass(frozen=True)
class Published:
    """A batch that annotators can open."""

    batch_id: str
    layer: str
    patches: int
    answered: int  # patches with as many annotators' answers as are wanted


@dataclass(frozen=True)
class StoreState:
    """What a store holds of one run at a moment."""

    answers: dict[str, int]  # by annotator, most first; taken back and replaced ones included
    batches: tuple[Published, ...]  # oldest first
    leases: tuple[Lease, ...]  # that have not expired, the longest first


class Administration(Protocol):
    """A run's store as seen by whoever runs it: made, opened to annotators, looked at.

    Every method raises RunError where the store does not answer or does not permit it.
    """

    def set_up(
        self, classes: Sequence[str], positive: str, lease_time: timedelta | None = None
    ) -> bool:
        """Make the store, or bring it up to date, and make the run known; answers stay.

        ``lease_time`` is how long a patch that someone takes is theirs; None leaves it as it is.
        Returns whether the run was new to the store.
        """

    def has_account(self, name: str) -> bool:
        """Whether somebody of that name can log in to the store, annotator or not."""

    def add_annotator(self, name: str, password: str | None) -> bool:
        """Let ``name`` label, with a new account where it has none; return whether it is new."""

    def revoke_annotator(self, name: str) -> None:
        """Take the right to label away; answers stay."""

    def annotators(self) -> list[str]:
        """Return who may label, in order of their names."""

    def state(self) -> StoreState:
        """Return who answered how much, what is published, and who is looking at what."""
