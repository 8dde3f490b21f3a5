"""Where geotessera puts the files of a tile, and what their folders and names say of it.

Since 0.7 a download and its mirror are

    global_0.1_degree_representation[.VARIANT]/YEAR/grid_LON_LAT/grid_LON_LAT[_scales].npy
    global_0.1_degree_tiff_all/grid_LON_LAT.tiff
    tessera_metadata.json                                       # since 0.9, version and variant

before, the cache was ``VERSION/YEAR/grid_LON_LAT/`` with the masks in ``VERSION/``, and a copy of
the publisher's repository has ``npy/VERSION[-VARIANT]/YEAR/grid_LON_LAT/`` and
``landmasks/VERSION/``. All of a tile in one folder is read too. Exports of 0.5 and 0.6 are
``embedding_LAT_LON.npy``, values without scales, with the place in a JSON of the same name.
"""

from __future__ import annotations

import glob
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from owl_geo.disk.listing import files_below, passed_over
from owl_geo.disk.presence import exists, is_dir, is_file
from owl_geo.errors import SourceError, no_access
from owl_geo.settings.paths import absolute
from owl_geo.sources.editions import edition

ARRAY = ".npy"
SCALES = "_scales"  # behind the name of a tile
TILES = "global_0.1_degree_representation"  # the folder of arrays, by year and tile
LAND_MASKS = "global_0.1_degree_tiff_all"  # the folder of rasters that say where the arrays lie
ARRAYS = (  # what to do where another source meets a tile
    "a tile of TESSERA's in NumPy arrays? add --source arrays; of a view, fetch GeoTIFFs: "
    "geotessera download --format tiff"
)
_PLACE = r"_-?\d+\.\d+_-?\d+\.\d+"
_TILE = re.compile(f"grid{_PLACE}")
_EXPORT = re.compile(f"embedding{_PLACE}")
_YEAR = re.compile(r"(?:19|20)\d\d")
_VERSION = re.compile(r"v(\d+(?:\.\d+)?)(?:-(.+))?")
_VARIANTS = {"cam": "cambridge"}  # names of folders that are not those of the variants
_METADATA = "tessera_metadata.json"
_SUFFIXES = (".tiff", ".tif")


@dataclass(frozen=True)
class Layout:
    """The files of a tile, whether they exist or not, and what their places say of it."""

    vectors: Path
    base: Path  # the folder that a download was made into
    year: str  # empty where no folder is one
    variant: str  # as the folder of the arrays is called

    @classmethod
    def of(cls, path: str | Path) -> Layout:
        """Return the layout around a file of vectors."""
        vectors = absolute(Path(path))
        folder, year, variant = vectors.parent, "", ""
        if folder.name == vectors.stem:
            folder = folder.parent
        if _YEAR.fullmatch(folder.name):
            folder, year = folder.parent, folder.name
        if folder.name.startswith(TILES):
            folder, variant = folder.parent, folder.name.removeprefix(TILES).lstrip(".")
        return cls(vectors, folder, year, variant)

    @property
    def name(self) -> str:
        """What geotessera calls the tile's GeoTIFF: ``grid_0.15_52.05_2024``."""
        stem = self.vectors.stem
        return f"{stem}_{self.year}" if self.year else stem

    @property
    def long_name(self) -> str:
        """The same behind the folder of the download, where several have the tile."""
        return f"{self.base.name}_{self.name}"

    @property
    def scales(self) -> Path | None:
        """The file of the scales; None of an export, whose values have none."""
        if self.export is not None:
            return None
        return self.vectors.with_name(f"{self.vectors.stem}{SCALES}{ARRAY}")

    @property
    def export(self) -> Path | None:
        """The JSON that places an export of geotessera 0.5 or 0.6; None of any other tile."""
        is_export = _EXPORT.fullmatch(self.vectors.stem) is not None
        return self.vectors.with_suffix(".json") if is_export else None

    @property
    def mask(self) -> Path:
        """The land mask; where there is none, the path at which it should be."""
        stem = self.vectors.stem
        folders = [self.base / LAND_MASKS, self.vectors.parent, self.base]
        if self.base.parent.name == "npy":
            version = self.base.name.partition("-")[0]
            folders.append(self.base.parent.parent / "landmasks" / version)
        paths = [folder / f"{stem}{suffix}" for folder in folders for suffix in _SUFFIXES]
        return next((path for path in paths if is_file(path)), paths[0])

    @property
    def files(self) -> list[Path]:
        """All files that the tile is read from."""
        beside = (self.export,) if self.export is not None else (self.scales, self.mask)
        return [self.vectors, *(path for path in beside if path is not None)]

    def edition(self) -> str:
        """Return the edition by metadata, or else by the names of folders; empty if unknown.

        Raises SourceError where there are metadata that cannot be read.
        """
        path = self.base / _METADATA
        if is_file(path):
            table = read_table(path)
            version, variant = table.get("dataset_version"), table.get("dataset_variant")
            return edition(str(version or ""), str(variant or self.variant))
        named = _VERSION.fullmatch(self.base.name)
        if named is None:
            return ""
        variant = named[2] or self.variant
        return edition(named[1], _VARIANTS.get(variant, variant))


def read_table(path: Path) -> dict[str, object]:
    """Return what a JSON says of tiles; raises SourceError where it cannot be read."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(
            f"cannot read {path}, which says what the arrays beside it are: {error}",
            remedy="fetch it anew with geotessera download",
        ) from error
    if not isinstance(table, dict):
        raise SourceError(f"{path} is not a table of what the arrays beside it are")
    return table


def tiles_in(folder: Path) -> list[Path]:
    """Return the vectors of all tiles in a folder and those below, the newest year first.

    So the newest of several years gives the ground that all of them show.
    """
    by_name = sorted(path for path in files_below(folder) if is_tile(path))
    return sorted(by_name, key=lambda path: Layout.of(path).year, reverse=True)


def is_tile(path: Path) -> bool:
    """Return whether a file is one of vectors, by its name and by the scales beside it."""
    if path.suffix.lower() != ARRAY or path.stem.endswith(SCALES) or path.name.startswith("."):
        return False
    named = _TILE.fullmatch(path.stem) or _EXPORT.fullmatch(path.stem)
    return named is not None or is_file(path.with_name(f"{path.stem}{SCALES}{path.suffix}"))


def is_land_mask(path: Path) -> bool:
    """Return whether a raster, by its name and place, says where an array lies, and no more."""
    if _TILE.fullmatch(path.stem):
        return path.parent.name == LAND_MASKS or exists(path.with_suffix(ARRAY))
    name = path.stem.replace("landmask", "embedding")
    return _EXPORT.fullmatch(name) is not None and exists(path.with_name(f"{name}{ARRAY}"))


def holds_arrays(folder: Path) -> bool:
    """Return whether arrays lie in a folder, or where a download into it puts them."""
    files = [folder.glob(at) for at in ("*", "*/*")]
    files += [one.glob("*/*/*") for one in (folder, folder / TILES) if one.name == TILES]
    return any(file.suffix.lower() == ARRAY for file in chain(*files))


def named_tiles(words: Sequence[str]) -> list[str]:
    """Return words that each name one tile at most, with its tiles in place of a folder or pattern.

    A tile is named as its GeoTIFF would be, unless several would share that name.
    Raises SourceError for a folder or a pattern without tiles.
    """
    found: dict[str | Path, None] = {}
    for word in words:
        found.update(dict.fromkeys(_of_word(word)))
    layouts = {path: Layout.of(path) for path in found if isinstance(path, Path)}
    short = Counter(layout.name for layout in layouts.values())
    long = Counter(layout.long_name for layout in layouts.values())
    named = []
    for path in found:
        layout = layouts.get(path) if isinstance(path, Path) else None
        if layout is not None and short[layout.name] == 1:
            named.append(f"{layout.name}={path}")
        elif layout is not None and long[layout.long_name] == 1:
            named.append(f"{layout.long_name}={path}")
        else:
            named.append(str(path))
    return named


def _of_word(word: str) -> Sequence[Path | str]:
    """Return the tiles that a word means; the word itself where it is for others to read."""
    name, _, rest = word.partition("=")
    path = Path(word).expanduser()
    if rest and not exists(path) and is_dir(folder := Path(rest).expanduser()):
        tiles = _some(tiles_in(folder), str(folder))
        if len(tiles) > 1:
            raise SourceError(
                f"{word!r}: {len(tiles):,} tiles cannot share a name", remedy="leave it out"
            )
        return [f"{name}={tiles[0]}"]
    if is_dir(path):
        return _some(tiles_in(absolute(path)), str(path))
    if is_file(path) and path.suffix.lower() == ARRAY:
        return [absolute(path)]
    if glob.has_magic(word) and not exists(path):
        for unread, error in passed_over(str(path)):
            fault = no_access(unread, error)
            raise SourceError(fault.what, remedy=fault.remedy)
        matches = map(Path, sorted(glob.glob(str(path), recursive=True)))  # noqa: PTH207 - ** and absolute
        return _some([absolute(match) for match in matches if is_tile(match)], word)
    return [word]


def _some(tiles: list[Path], where: str) -> list[Path]:
    if not tiles:
        raise SourceError(
            f"{where} has no tiles of TESSERA's in NumPy arrays: looked for grid_LON_LAT.npy",
            remedy="GeoTIFFs are read with --source geotiff, Zarr stores with --source cube",
        )
    return tiles
