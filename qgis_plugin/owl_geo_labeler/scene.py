"""A scene as a layer of the map: as the run knows it, or else judged by the names of its bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qgis.core import QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QCoreApplication

from .band_names import Rgb, band_files, false_colours, is_old_landsat, natural_colours
from .colouring import FALSE, PLAIN, Way, set_ways
from .errors import Problem, reading
from .known_layer import layer_of
from .on_disk import is_dir
from .run_folder import SceneEntry
from .shown import KnownScene
from .virtual import on_one_grid, virtual_raster

translate = QCoreApplication.translate

_SAMPLE = 250_000  # pixels that the percentiles are taken from
_LOWEST, _HIGHEST = 0.02, 0.98


@dataclass(frozen=True)
class Loaded:
    """A scene's layer, and why it has no false colours; empty if it has."""

    layer: QgsRasterLayer
    why_not_false: str


def known_scene(
    scene: KnownScene, entry: SceneEntry | None, beside: Path | None, brightness: int
) -> Loaded:
    """Return the layer of a scene as the run knows it.

    A file that is not where the batch says is looked for at the ``entry`` of owl.toml, and in the
    folder ``beside``. Raises Problem if it cannot be opened.
    """
    rasters = {PLAIN: scene.plain, **({FALSE: scene.false} if scene.false is not None else {})}
    places = [*(entry.paths if entry is not None else ()), *([beside] if beside else [])]
    found = layer_of(rasters, scene.name, places)
    if found is None:
        raise _missing(scene.name, scene.plain.paths[0])
    layer, ways = found
    layer.setName(scene.name)
    set_ways(layer, ways, PLAIN, brightness)
    if FALSE in ways:
        return Loaded(layer, "")
    if scene.false is not None:
        return Loaded(
            layer,
            translate(
                "OwlGeo",
                "no false colours: the near infrared of {scene} lies on another grid than its "
                "red and green",
            ).format(scene=scene.name),
        )
    return Loaded(layer, _why_not_false(scene.name, scene.unknown))


def named_scene(entry: SceneEntry, brightness: int) -> Loaded:
    """Return the layer of a scene in natural colours, or its first band in grey.

    For batches that do not say what the bands are: their names decide. Values are stretched
    between the percentiles 2 and 98 of the scene. Raises Problem if it cannot be opened.
    """
    layer, natural, false = _layer(entry)
    if layer is None or not layer.isValid():
        raise _missing(entry.name, str(entry.paths[0]))
    layer.setName(entry.name)
    if natural is None and _has_palette(layer):
        return Loaded(layer, _why_not_false(entry.name, ()))
    ways = {PLAIN: _way(layer, (0,) if natural is None else natural)}
    if false is not None:
        ways[FALSE] = _way(layer, false)
    set_ways(layer, ways, PLAIN, brightness)
    return Loaded(layer, _why_not_false(entry.name, ()) if false is None else "")


def guessed_colours(scene: KnownScene) -> str:
    """Return what to say where the first three bands are shown, and nothing says what they are."""
    text = translate(
        "OwlGeo",
        "nothing says which bands of {scene} are {names}: its first three are shown; {remedy}",
    )
    return text.format(scene=scene.name, names=_in_words(scene.unknown), remedy=_remedy())


def _why_not_false(name: str, unknown: Sequence[str]) -> str:
    text = translate(
        "OwlGeo", "no false colours: nothing says which band of {scene} is {names}; {remedy}"
    )
    wanted = [word for word in unknown if word != "blue"] or ["nir"]
    return text.format(scene=name, names=_in_words(wanted), remedy=_remedy())


def _in_words(names: Sequence[str]) -> str:
    words = {
        "red": translate("OwlGeo", "red"),
        "green": translate("OwlGeo", "green"),
        "blue": translate("OwlGeo", "blue"),
        "nir": translate("OwlGeo", "near infrared"),
    }
    return ", ".join(words.get(name, name) for name in names)


def _remedy() -> str:
    return translate(
        "OwlGeo",
        "write it into owl.toml, under [source], such as common = { nir = 4 }, and run owl-geo "
        "init RUN --update",
    )


def _missing(name: str, path: str) -> Problem:
    message = translate(
        "OwlGeo", "the scene {name} is not at {path}; add it to the project yourself"
    )
    return Problem(message.format(name=name, path=path))


# --- judged by names ------------------------------------------------------------------------------


def _way(layer: QgsRasterLayer, places: Sequence[int]) -> Way:
    """Return a way to draw a layer, ``places`` from 0, between percentiles of the whole layer."""
    bands = tuple(place + 1 for place in places)
    return Way(bands, tuple(_percentiles(layer, band) for band in bands))


def _percentiles(layer: QgsRasterLayer, band: int) -> tuple[float, float]:
    low, high = layer.dataProvider().cumulativeCut(band, _LOWEST, _HIGHEST, QgsRectangle(), _SAMPLE)
    return low, high if high > low else low + 1.0


def _layer(entry: SceneEntry) -> tuple[QgsRasterLayer | None, Rgb | None, Rgb | None]:
    """Return the layer and where its natural and false colours are, from 0."""
    place = entry.paths[0]
    if len(entry.paths) > 1:
        return _of_files(entry.paths)
    with reading(place):
        is_folder = is_dir(place)
    if not is_folder:
        return _of_file(str(place))
    files = band_files(place)
    return _of_files(files, is_old_landsat(place)) if files else (None, None, None)


def _of_file(source: str) -> tuple[QgsRasterLayer, Rgb | None, Rgb | None]:
    layer = QgsRasterLayer(source, "scene", "gdal")
    if not layer.isValid() or _has_palette(layer):
        return layer, None, None
    provider = layer.dataProvider()
    names = [provider.generateBandName(i + 1) for i in range(layer.bandCount())]
    names = [name.partition(": ")[2] or name for name in names]
    names = [name.partition(" (")[0] for name in names]
    natural = natural_colours(names)
    return layer, natural, false_colours(names) if natural is not None else None


def _has_palette(layer: QgsRasterLayer) -> bool:
    return layer.renderer() is not None and layer.renderer().type() == "paletted"


def _of_files(
    paths: Sequence[Path], old_landsat: bool = False
) -> tuple[QgsRasterLayer, Rgb | None, Rgb | None]:
    """Join single-band files on one grid as a virtual raster, or show the first file alone.

    The raster has red, green and blue, and near infrared if it is known and on that grid.
    """
    names = [path.stem for path in paths]
    natural, false = natural_colours(names, old_landsat), false_colours(names, old_landsat)
    chosen = [paths[place] for place in natural] if natural is not None else []
    rasters = [QgsRasterLayer(str(path), path.stem, "gdal") for path in chosen]
    if not rasters or not on_one_grid(rasters):
        return _of_file(str(paths[0]))
    if false is not None:
        path = paths[false[0]]
        rasters.append(QgsRasterLayer(str(path), path.stem, "gdal"))
        if not on_one_grid(rasters):
            rasters.pop()
    layer = QgsRasterLayer(virtual_raster(rasters), "scene", "gdal")
    return layer, (0, 1, 2), (3, 0, 1) if len(rasters) == 4 else None
