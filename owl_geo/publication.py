"""A round's batch into the team's database, where QGIS opens it as a layer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from owl_geo.batches import batch_style, read_table
from owl_geo.errors import RunError
from owl_geo.run_folder import Round, Run

if TYPE_CHECKING:
    from owl_geo.labels.postgis import PostGISLabels


@dataclass(frozen=True)
class Publication:
    """A batch as a layer of a database."""

    host: str  # or the folder of the server's socket
    port: int
    database: str
    schema: str
    layer: str
    address: (
        str  # of the layer, without user and password: postgresql://HOST:PORT/DB?schema=&layer=
    )
    is_new: bool  # was not there before


def check_is_team(run: Run) -> None:
    """Raise RunError unless the run keeps its answers in a database."""
    if run.settings.labels is None:
        raise RunError(
            f"{run.path} keeps its answers in a file; for a team set "
            'labels = "postgresql://HOST/DB" at the top of its owl.toml'
        )


def team_store(run: Run) -> PostGISLabels:
    """Return the run's store in a database, ready for batches; raises RunError where it is not."""
    check_is_team(run)
    from owl_geo.labels.postgis import PostGISLabels

    store = run.labels
    assert isinstance(store, PostGISLabels)
    return store


def publish(
    run: Run, entry: Round, *, shared: Collection[str] = (), n_annotators: int = 1
) -> Publication:
    """Make the batch of a round a layer of the store; one that is there already stays.

    The patches in ``shared`` are wanted by ``n_annotators``, the others by one. Raises RunError.
    """
    from owl_geo.labels import publishing
    from owl_geo.labels.database import SCHEMA, address

    store = team_store(run)
    if entry.batch_id is None:
        raise RunError(f"{run.path}: round {entry.number} asked nothing; there is no batch to show")
    table = read_table(run.batch_path(entry.number))
    settings = run.settings
    names = [*_in_order(table.kinds), publishing.LEASE]
    layer = publishing.BatchLayer(
        run_id=settings.run_id,
        batch_id=entry.batch_id,
        round=entry.number,
        info=table.info,
        kinds=table.kinds,
        fids=table.fids,
        rows=table.rows,
        polygons=table.polygons,
        crs=table.crs,
        style=batch_style(names, settings.classes, settings.positive, list(settings.concepts)),
    )
    is_new = publishing.publish(store.database, layer, shared=shared, n_annotators=n_annotators)
    host, port, database = store.database.where()
    return Publication(
        host=host,
        port=port,
        database=database,
        schema=SCHEMA,
        layer=layer.name,
        address=address(host, port, database, schema=SCHEMA, layer=layer.name),
        is_new=is_new,
    )


def _in_order(kinds: Collection[str]) -> list[str]:
    """Return the columns as the file has them, those that annotators fill in included."""
    from owl_geo.schema import BATCH_COLUMNS_AFTER

    return [name for name in kinds if name not in BATCH_COLUMNS_AFTER] + list(BATCH_COLUMNS_AFTER)
