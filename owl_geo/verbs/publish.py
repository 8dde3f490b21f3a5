"""Putting a round's batch into the store that a team shares, where it becomes a layer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from owl_geo.batches import BatchTable, batch_style, decimals_of, read_table
from owl_geo.errors import RunError
from owl_geo.labels.sharing import BatchLayer, Publication
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.records import Round
from owl_geo.run_folder.waiting import answers_before
from owl_geo.schema import BATCH_COLUMNS_AFTER, BATCH_INFO_ANNOTATOR, LEASE_COLUMN
from owl_geo.wording import as_typed


def publish(run: Run, entry: Round) -> Publication:
    """Make the batch of a round a layer of the store; a layer that already exists is kept.

    In a team's batch, the patches in all parts are for everyone to label, and the others for
    whoever gets there first: leases share them out while people label. A patch that has answers
    already, as in a tie or a review, is asked like the others. Raises RunError, for example
    where the run's store has no layers.
    """
    layers = run.labels.layers()
    if entry.batch_id is None:
        raise RunError(
            f"{run.path}: round {entry.number} asked nothing, so it has no batch",
            remedy=f"run `owl-geo query {as_typed(run.path)}` to make one",
        )
    table = _whole(entry, [read_table(path) for path in run.batch_paths(entry).values()])
    settings = run.settings
    names = [*_in_order(table.kinds), LEASE_COLUMN]
    layer = BatchLayer(
        run_id=settings.run_id,
        batch_id=entry.batch_id,
        round=entry.number,
        info=table.info,
        kinds=table.kinds,
        fids=table.fids,
        rows=table.rows,
        polygons=table.polygons,
        crs=table.crs,
        style=batch_style(
            names,
            settings.classes,
            settings.positive,
            list(settings.concepts),
            units=settings.units,
            decimals=_decimals(table, list(settings.concepts)),
        ),
        after=answers_before(entry, run.labels.history()) or 0,
    )
    return layers.publish(layer, shared=_shared(entry), n_annotators=max(len(entry.team), 1))


def _decimals(table: BatchTable, concepts: Sequence[str]) -> dict[str, int]:
    """Return how many decimals are shown of the concepts that are real numbers."""
    places = {name: place for place, name in enumerate(table.kinds)}
    return {
        name: decimals_of(row[places[name]] for row in table.rows)
        for name in concepts
        if table.kinds.get(name) == "double precision"
    }


def _shared(entry: Round) -> set[str]:
    """Return the patches that everyone in a team is to label."""
    parts = [set(numbers) for numbers in entry.team.values()]
    return {entry.patch_ids[number] for number in set.intersection(*parts)} if parts else set()


def _whole(entry: Round, parts: Sequence[BatchTable]) -> BatchTable:
    """Return the whole batch that was dealt out in parts, ranked again as one."""
    if not entry.team:
        return parts[0]
    columns = list(parts[0].kinds)
    patch_id, rank = columns.index("patch_id"), columns.index("rank")
    by_patch = {
        row[patch_id]: (row, polygon)
        for part in parts
        for row, polygon in zip(part.rows, part.polygons, strict=True)
    }
    ranked = [
        (*by_patch[patch][0][:rank], number, *by_patch[patch][0][rank + 1 :])
        for number, patch in enumerate(entry.patch_ids, start=1)
    ]
    return replace(
        parts[0],
        info={name: v for name, v in parts[0].info.items() if name != BATCH_INFO_ANNOTATOR},
        fids=list(range(1, len(ranked) + 1)),
        rows=ranked,
        polygons=[by_patch[patch][1] for patch in entry.patch_ids],
    )


def _in_order(kinds: Collection[str]) -> list[str]:
    """Return the columns in the order of the file, including those that annotators fill in."""
    return [name for name in kinds if name not in BATCH_COLUMNS_AFTER] + list(BATCH_COLUMNS_AFTER)
