"""Patches of a data cube: Zarr, NetCDF, or what xarray holds in memory."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import ValidationError

from owl_geo.errors import SceneError, SourceError, check_list
from owl_geo.ground.raster_view import may_divide
from owl_geo.ground.tiling import Chunk
from owl_geo.settings.sources import CubeSettings
from owl_geo.sources import chunked
from owl_geo.sources.band_choice import KnownBand
from owl_geo.sources.band_wording import in_short
from owl_geo.sources.bands import Band
from owl_geo.sources.chunked import CHUNK_BYTES, Pixels, both
from owl_geo.sources.cube.acquired import cube_date
from owl_geo.sources.cube.baselines import MixedDates, mixed_dates
from owl_geo.sources.cube.dates import any_date, over_dates
from owl_geo.sources.cube.description import describe_cube
from owl_geo.sources.cube.groups import Group, chosen_bands
from owl_geo.sources.cube.missing import number_in
from owl_geo.sources.cube.opening import UNREADABLE, CubeFile, cube_name, path_or_cube, reason
from owl_geo.sources.cube.scales import scaled
from owl_geo.sources.quantization import NODATA, dequantized
from owl_geo.sources.tiled import TiledSource, one_line
from owl_geo.types import EMBEDDING, LARGEST, AnyArray, BoolArray, SceneGrid
from owl_geo.work.progress import Progress

_log = logging.getLogger("owl_geo")

# The store's chunks are cut up, and decoded more than once, where one with all its dates is larger.
_BLOCK_BYTES = 4 * CHUNK_BYTES


class CubeSource(TiledSource["CubeScene"]):
    """A PatchSource over a data cube; read lazily, whatever its size.

    Args:
        cube: a path (a Zarr folder, a ``.zarr.zip``, a NetCDF file), a URL that xarray opens, or a
            DataArray or Dataset, in memory or lazy (dask).
        name: first part of every patch_id; None = the file's name.
        bands: by number, name or common name; empty = all but flags and masks.
        common: what bands are where the cube does not say, or says wrongly: ``{"nir": 4}``.
        time: what several dates become: median, mean, min, max, first or last, per pixel and band
            over the dates that are finite there; or stack, bands of each date, ``B4@2021-05-01``.
        patch_size: height and width of a patch in pixels.
        stride: pixels from patch to patch; None = ``patch_size``.
        min_valid: share of valid pixels that a patch needs.
        aoi: a vector file; patches whose centre lies outside its polygons are left out.
        crs: the CRS, in place of the cube's own; None = rioxarray's or CF's, or EPSG:4326 where
            the axes are longitude and latitude.
        index: the patch index of an earlier scan; with it the cube is not scanned.
        progress: called with (windows done, windows in all) during the scan.
        known: bands of a source that this is to be like, found by name in place of ``bands``.

    Bands are the values of an axis named band, wavelength or variable, or the variables of a
    Dataset. Row 0 of a patch is its first row as stored, whichever way y runs; ``grids`` says where
    it lies. Values are decoded by the CF conventions (fill value, valid range, scale, offset), and
    the attributes ``nodata`` and ``fill_value`` mark missing ones too; so does what NetCDF reads
    where nothing was written. A pixel is valid if all
    chosen bands are finite there; holes are filled as GeoTiffSource fills them. Variables of flags
    (``flag_values``, ``flag_masks``, ``flag_meanings``), and what is named as masks and quality
    layers are, are bands only where they are asked for. Of variables on several grids, those with
    most pixels are bands, or those with most of the bands that are asked for.

    Pixels are read in the store's own chunks, all dates of one at a time; ``stream`` never holds
    the whole cube. Raises SourceError where the cube cannot be opened, has no regular grid, no CRS
    or not the bands that are asked for.
    """

    def __init__(
        self,
        cube: str | Path | xr.DataArray | xr.Dataset,
        *,
        name: str | None = None,
        bands: Sequence[str | int] = (),
        common: Mapping[str, str | int] | None = None,
        time: str = "median",
        patch_size: int = 32,
        stride: int | None = None,
        min_valid: float = 0.9,
        aoi: str | Path | None = None,
        crs: str | None = None,
        index: pd.DataFrame | None = None,
        progress: Progress | None = None,
        known: Sequence[KnownBand] = (),
    ) -> None:
        check_list("bands", bands)
        cube = path_or_cube(cube)
        scene = name or cube_name(cube)
        try:
            settings = CubeSettings(
                path=cube if isinstance(cube, str) else f"the cube {scene!r}",
                name=scene,
                bands=tuple(bands),
                common=dict(common or {}),
                time=time,
                patch_size=patch_size,
                stride=stride,
                min_valid=min_valid,
                aoi=None if aoi is None else str(aoi),
                crs=crs,
            )
        except ValidationError as error:
            raise SourceError(one_line(error)) from error
        self._open(cube, settings, index, progress, known)

    @classmethod
    def from_settings(
        cls,
        settings: CubeSettings,
        index: pd.DataFrame | None = None,
        progress: Progress | None = None,
        known: Sequence[KnownBand] = (),
    ) -> CubeSource:
        """Open the source that owl.toml describes."""
        source = cls.__new__(cls)
        source._open(settings.path, settings, index, progress, known)
        return source

    def _open(
        self,
        cube: str | xr.DataArray | xr.Dataset,
        settings: CubeSettings,
        index: pd.DataFrame | None,
        progress: Progress | None,
        known: Sequence[KnownBand],
    ) -> None:
        """Open a cube; of one in memory the path of the settings is what messages call it."""
        self._file = CubeFile(cube)
        self._in_memory = not isinstance(cube, str)
        dataset = self._file.dataset
        offer = describe_cube(
            dataset,
            settings.name or cube_name(cube),
            settings.path,
            settings.crs,
            None if isinstance(cube, str) else cube,
            # a run that was made before embeddings were recognised goes on with the integers
            embeddings=not known or any(band.common == EMBEDDING for band in known),
            wanted=settings.bands or [band.name for band in known],
        )
        unasked = not settings.bands
        self._flags = offer.flags if unasked else ()
        self._quality = offer.quality if unasked else ()
        self._bad = offer.bad if unasked else ()
        self._elsewhere = offer.elsewhere if unasked else ()
        taken, groups = chosen_bands(offer, settings, dataset, known)
        above, store = self._file.above, self._file.store
        date = cube_date(dataset, offer, groups, settings.path, above, store)
        scene = CubeScene(self._file, offer.grid, taken, groups, date)
        super().__init__([scene], settings, index, progress)

    def __reduce__(self) -> tuple[object, ...]:
        if self._in_memory:
            raise SourceError(
                f"the cube {next(iter(self.grids))!r} is in memory, which no other process can "
                "read",
                remedy="save it as Zarr and open that",
            )
        return super().__reduce__()

    def check_bands(self, truth: str | None = None) -> None:
        """Warn of what is left out: flags, masks, bad bands, and what lies on another grid.

        And of scales that were probably meant to be divided by, and of dates that differ by
        Sentinel-2's offset.
        """
        self._warn_of_large_scales()
        self._warn_of_mixed_dates()
        for names, one, many in (
            (self._flags, "holds flags", "hold flags"),
            (self._quality, "is named like a mask", "are named like masks"),
            (self._bad, "is called bad in the file", "are called bad in the file"),
            (self._elsewhere, "lies on another grid", "lie on another grid"),
        ):
            if names:
                several = len(names) > 1
                _log.warning(
                    "cube %r: %s %s and %s; name %s with --bands to use %s",
                    next(iter(self.grids)),
                    in_short(names),
                    many if several else one,
                    "are not bands" if several else "is not a band",
                    *(("them", "them") if several else ("it", "it")),
                )

    def _warn_of_large_scales(self) -> None:
        (scene,) = self._tiled.values()
        for variable in dict.fromkeys(group.variable for group in scene.groups):
            encoding = self._file.dataset[variable].encoding
            scale = number_in(encoding.get("scale_factor"), 1.0)
            if may_divide(scale, str(np.dtype(encoding.get("dtype", "float32")))):
                _log.warning(
                    "cube %r: pixels of %s are multiplied by %g, as its scale_factor says; if they "
                    "are to be divided by it, correct the attribute to %g",
                    *(scene.name, variable, scale, 1 / scale),
                )

    def _warn_of_mixed_dates(self) -> None:
        (scene,) = self._tiled.values()
        mixed = CubeReader(scene).mixed_dates()
        if mixed is not None:
            _log.warning(
                "cube %r: %d of %d dates are of Sentinel-2's processing baselines from 04.00 on, "
                "whose pixels have 1000 more, and so they seem to have here, unlike those of the "
                "other dates; take the 1000 off before the dates become one image, see Data cubes "
                "in docs/how-to/scenes.md",
                *(scene.name, mixed.with_offset, mixed.dates),
            )

    def close(self) -> None:
        """Close the file; it opens again when needed."""
        self._file.close()


@dataclass(frozen=True)
class CubeScene:
    """A cube as it is read: the chosen bands, and how their pixels are found."""

    file: CubeFile
    grid: SceneGrid
    bands: tuple[Band, ...]
    groups: tuple[Group, ...]
    date: datetime.date | None = None  # on which it was taken; None if unknown, or several days

    @property
    def name(self) -> str:
        """First part of every patch_id."""
        return self.grid.name

    @property
    def per_pixel(self) -> int:
        """Bytes that a pixel takes while it is read: all dates of a group, and the result."""
        held = sum(max(np.dtype(band.dtype).itemsize, 4) for band in self.bands)
        return held + 5 + max(group.per_pixel for group in self.groups)

    @property
    def blocks(self) -> tuple[int, int]:
        """Height and width of the largest chunk of the store, cut up where it is very large."""
        height = max(band.blocks[0] for band in self.bands)
        width = max(band.blocks[1] for band in self.bands)
        while height * width * self.per_pixel > _BLOCK_BYTES and max(height, width) > 1:
            if height >= width:
                height = -(-height // 2)
            else:
                width = -(-width // 2)
        return height, width

    @property
    def always_valid(self) -> bool:
        """Whether no pixel can be invalid."""
        return not any(group.may_be_invalid for group in self.groups)

    @property
    def is_seen_whole(self) -> bool:
        """True: a file that lacks its end does not open, and a store has fill values there."""
        return True

    def chunk_shape(self, size: int) -> tuple[int, int]:
        """Return height and width, in pixels, of the chunks that the cube is read in."""
        width = self.grid.width
        return chunked.chunk_shape(width, self.blocks, self.per_pixel, size, CHUNK_BYTES)

    def reader(self) -> AbstractContextManager[CubeReader]:
        """Lend a reader; they share the open file, which any thread may read."""
        return nullcontext(CubeReader(self))

    def bands_without_data(self, windows: Sequence[Chunk]) -> list[str]:
        """Return the bands that have no data anywhere in the windows."""
        reader = CubeReader(self)
        without = set(range(len(self.bands)))
        for window in windows:
            for numbers, values in reader.pixels(window).parts:
                for number, plane in zip(numbers, values, strict=True):
                    if np.isfinite(plane).any():
                        without.discard(number)
        return [self.bands[number].name for number in sorted(without)]


class CubeReader:
    """Reads windows of a cube."""

    def __init__(self, scene: CubeScene) -> None:
        self.scene = scene
        self._dataset = scene.file.dataset

    def pixels(self, chunk: Chunk) -> Pixels:
        """Read all chosen bands; raises SourceError that names cube, file and rows."""
        parts = []
        valid: BoolArray | None = None
        for group in self.scene.groups:
            try:
                values = self._values(group, chunk)
            except UNREADABLE as error:
                raise self._unreadable(chunk, error) from error
            if group.may_be_invalid:
                with np.errstate(over="ignore"):
                    small = np.abs(values.astype(np.float32, copy=False)) <= LARGEST
                valid = both(valid, np.all(small, axis=0))
            parts.append((group.numbers, values))
        if valid is not None and valid.all():
            valid = None
        return Pixels(chunk.row, chunk.col, tuple(parts), valid)

    def valid(self, chunk: Chunk) -> BoolArray | None:
        """Read only what validity depends on: ``(height, width)``, None where all is valid."""
        valid: BoolArray | None = None
        for group in self.scene.groups:
            if not group.may_be_invalid:
                continue
            try:
                slabs = self._slabs(group, chunk)
                if group.rule is None:  # dates side by side: each has to be there
                    seen = [any_date([date]) for slab in slabs for date in slab[:, None]]
                else:
                    seen = [any_date(slabs)]
            except UNREADABLE as error:
                raise self._unreadable(chunk, error) from error
            for good in seen:
                valid = both(valid, np.all(good, axis=0))
        return None if valid is None or valid.all() else valid

    def mixed_dates(self) -> MixedDates | None:
        """Return which dates differ by Sentinel-2's offset; None if none, or nothing can be read.

        What cannot be read is told where it is needed.
        """

        def load(group: Group, chunk: Chunk, dates: Sequence[int]) -> AnyArray:
            try:
                return self._load(group, chunk, dates)
            except UNREADABLE as error:
                raise self._unreadable(chunk, error) from error

        with suppress(SourceError):
            return mixed_dates(self._dataset, self.scene.groups, self.scene.grid, load)
        return None

    def _values(self, group: Group, chunk: Chunk) -> AnyArray:
        """Return the bands of a group as they are cut: ``(bands, height, width)``."""
        if group.rule is not None:
            return over_dates(group.rule, self._slabs(group, chunk))
        (slab,) = self._slabs(group, chunk)
        return slab.reshape(-1, *slab.shape[2:])

    def _slabs(self, group: Group, chunk: Chunk) -> Iterator[AnyArray]:
        """Yield ``(dates, bands, height, width)``, some dates at a time."""
        if not group.dates:
            yield self._load(group, chunk, ())
            return
        for start in range(0, len(group.dates), group.slab):
            yield self._load(group, chunk, group.dates[start : start + group.slab])

    def _load(self, group: Group, chunk: Chunk, dates: Sequence[int]) -> AnyArray:
        values = self._read(group.variable, group, chunk, dates)
        if group.scales is not None:
            scales = self._read(group.scales, replace(group, span=None, picks=(0,)), chunk, dates)
            fill = self._dataset[group.variable].encoding.get("_FillValue")
            return scaled(values, scales, fill, (group.variable, group.scales))
        if group.quantized:
            missing = values == NODATA  # whatever the store says of it
            return np.where(missing, np.float32(np.nan), dequantized(values))
        if group.missing is not None:
            values = group.missing.marked(values)
        if group.per_band is not None:
            values = group.per_band.applied(values)
        return values.view(np.uint8) if values.dtype == np.bool_ else values

    def _read(self, name: Hashable, group: Group, chunk: Chunk, dates: Sequence[int]) -> AnyArray:
        """Return pixels of a variable as they are stored, ``(dates, bands, height, width)``."""
        axes = group.axes
        variable = self._dataset.variables[name]
        where: dict[Hashable, slice | int | list[int]] = dict.fromkeys(variable.dims, 0)
        where[axes.y] = slice(chunk.row, chunk.row + chunk.height)
        where[axes.x] = slice(chunk.col, chunk.col + chunk.width)
        stored = sorted(dates)  # not every store reads in another order
        order: list[Hashable] = [axes.y, axes.x]
        if axes.band is not None and group.span is not None:
            where[axes.band] = group.span
            order.insert(0, axes.band)
        if axes.time is not None:
            where[axes.time] = _run(stored)
            order.insert(0, axes.time)
        values: AnyArray = variable.isel(where).transpose(*order).to_numpy()
        if axes.time is None:
            values = values[None]
        elif stored != list(dates):
            values = values[[stored.index(date) for date in dates]]
        if axes.band not in variable.dims:
            values = values[:, None]
        elif len(group.picks) != values.shape[1] or list(group.picks) != sorted(group.picks):
            values = values[:, list(group.picks)]
        return values

    def _unreadable(self, chunk: Chunk, error: BaseException) -> SourceError:
        scene = self.scene
        return SceneError(
            f"scene {scene.name!r}: cannot read {scene.bands[0].path}, rows {chunk.row} to "
            f"{chunk.row + chunk.height} (is the file whole?): {reason(error)}"
        )


def _run(positions: list[int]) -> slice | list[int]:
    """Return positions as a slice where they follow each other."""
    follow = positions == list(range(positions[0], positions[0] + len(positions)))
    return slice(positions[0], positions[-1] + 1) if follow else positions
