"""A round's batch into the store that a team shares, where it becomes a layer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from owl_geo.batches import BatchTable, batch_style, read_table
from owl_geo.errors import RunError
from owl_geo.labels.sharing import BatchLayer, Publication
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.records import Round
from owl_geo.schema import BATCH_COLUMNS_AFTER, BATCH_INFO_ANNOTATOR, LEASE_COLUMN


def publish(run: Run, entry: Round) -> Publication:
    """Make the batch of a round a layer of the store; one that is there already stays.

    Of a team's batch the patches in all parts are wanted by all, and the others by whoever comes
    first: leases share them out while people label. Raises RunError, where the run's store has no
    layers above all.
    """
    layers = run.labels.layers()
    if entry.batch_id is None:
        raise RunError(
            f"{run.path}: round {entry.number} asked nothing", remedy="there is no batch to show"
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
        style=batch_style(names, settings.classes, settings.positive, list(settings.concepts)),
    )
    return layers.publish(layer, shared=_shared(entry), n_annotators=max(len(entry.team), 1))


def _shared(entry: Round) -> set[str]:
    """Return the patches that everybody of a team is to label."""
    parts = [set(places) for places in entry.team.values()]
    return {entry.patch_ids[place] for place in set.intersection(*parts)} if parts else set()


def _whole(entry: Round, parts: Sequence[BatchTable]) -> BatchTable:
    """Return the batch that was dealt out into parts, ranked as a whole."""
    if not entry.team:
        return parts[0]
    columns = list(parts[0].kinds)
    patch_id, rank = columns.index("patch_id"), columns.index("rank")
    found = {
        row[patch_id]: (row, polygon)
        for part in parts
        for row, polygon in zip(part.rows, part.polygons, strict=True)
    }
    ranked = [
        (*found[patch][0][:rank], number, *found[patch][0][rank + 1 :])
        for number, patch in enumerate(entry.patch_ids, start=1)
    ]
    return replace(
        parts[0],
        info={name: v for name, v in parts[0].info.items() if name != BATCH_INFO_ANNOTATOR},
        fids=list(range(1, len(ranked) + 1)),
        rows=ranked,
        polygons=[found[patch][1] for patch in entry.patch_ids],
    )


def _in_order(kinds: Collection[str]) -> list[str]:
    """Return the columns as the file has them, those that annotators fill in included."""
    return [name for name in kinds if name not in BATCH_COLUMNS_AFTER] + list(BATCH_COLUMNS_AFTER)
