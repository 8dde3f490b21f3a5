"""Two sources as one: the patches of both in order, and sources that do not belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasters import coordinates, write_raster

from owl_geo.errors import SourceError
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.joined import JoinedSource


def source(
    folder: Path, name: str, *, bands: int = 2, size: int = 8, more: int = 0
) -> GeoTiffSource:
    """A scene of 4 x 4 patches of 8 pixels, with their rows and columns as values."""
    values = coordinates(32, 32, bands) + np.uint16(more)
    path = write_raster(folder / f"{name}.tif", values)
    return GeoTiffSource(SceneSettings(name=name, path=str(path)), patch_size=size)


@pytest.fixture
def parts(tmp_path: Path) -> tuple[GeoTiffSource, GeoTiffSource]:
    return source(tmp_path, "a"), source(tmp_path, "b", more=1000)


def test_it_is_the_first_and_then_the_second(parts: tuple[GeoTiffSource, GeoTiffSource]) -> None:
    joined = JoinedSource(*parts)
    ids = [*parts[0].index["patch_id"], *parts[1].index["patch_id"]]
    assert joined.index["patch_id"].tolist() == ids
    assert joined.index.index.tolist() == list(range(32))
    assert (joined.bands, joined.patch_size) == (parts[0].bands, 8)
    assert dict(joined.grids) == {**parts[0].grids, **parts[1].grids}
    first, second = (part.chunk_starts.tolist() for part in parts)
    assert joined.chunk_starts.tolist() == [*first, *(start + 16 for start in second)]


@pytest.mark.parametrize(
    "wanted",
    [None, [0, 15, 16, 31], [3, 4, 5], [16, 17], []],
    ids=["all", "both", "the first", "the second", "none"],
)
def test_patches_come_in_order_with_their_positions(
    wanted: list[int] | None, parts: tuple[GeoTiffSource, GeoTiffSource]
) -> None:
    joined = JoinedSource(*parts)
    positions = None if wanted is None else np.array(wanted, dtype=np.int64)
    seen: list[int] = []
    for at, patches in joined.stream(positions, batch_size=3):
        assert len(at) == len(patches) <= 3
        for position, patch in zip(at.tolist(), patches, strict=True):
            row = joined.index.iloc[position]
            # the first band holds the row of the scene, and the second scene begins at 1000
            assert patch[0, 0, 0] == row["row_off"] + 1000 * (row["scene"] == "b")
            assert patch[1, 0, 0] == row["col_off"] + 1000 * (row["scene"] == "b")
        seen += at.tolist()
    assert seen == (list(range(32)) if wanted is None else wanted)


def test_patches_are_read_in_any_order(parts: tuple[GeoTiffSource, GeoTiffSource]) -> None:
    patches = JoinedSource(*parts).read(["b/8/0", "a/24/0", "b/0/16", "a/24/0"])
    assert patches[:, 0, 0, 0].tolist() == [1008, 24, 1000, 24]
    assert patches[:, 1, 0, 0].tolist() == [1000, 0, 1016, 0]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"name": "b", "bands": 3}, "bands differ"),
        ({"name": "b", "size": 16}, "patch size differ"),
        ({"name": "a"}, "have a scene 'a'"),
    ],
)
def test_sources_that_do_not_belong_together_are_refused(
    other: dict[str, object], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=reason):
        JoinedSource(source(tmp_path / "1", "a"), source(tmp_path / "2", **other))  # type: ignore[arg-type]
