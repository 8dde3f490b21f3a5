"""Outputs that are rasters: a cloud-optimised GeoTIFF per scene, and a mosaic over all scenes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from owl_geo.maps.cells import means
from owl_geo.maps.cog import RasterKind, write_map
from owl_geo.maps.mosaic import forget, write_mosaic
from owl_geo.maps.outputs import FinishedScenes, Legend, Output, ScenePrediction, outputs
from owl_geo.types import AnyArray


class CellMap(Output):
    """A map computed from the means of cells: subclasses define bands, values and style.

    Each cell has the mean, over the patches that cover it, of the probability of each class and of
    the uncertainty.
    """

    bands: tuple[str, ...]  # names of the bands, also used for arrays
    dtype: str
    nodata: float  # value of cells without a patch
    resampling: Resampling  # for the overviews

    def values(self, means: NDArray[np.float64], legend: Legend) -> AnyArray:
        """Return the bands ``(bands, rows, width)`` for means ``(classes + 1, rows, width)``.

        The last mean is the uncertainty; all are not-a-number in cells without a patch.
        """
        raise NotImplementedError

    def style(self, legend: Legend) -> str:
        """Return the QGIS style (QML)."""
        raise NotImplementedError

    def categories(self, legend: Legend) -> Sequence[str] | None:
        """Return the names of the classes whose numbers the map holds; None for other maps."""
        return None

    def attributes(self, legend: Legend) -> Mapping[str, Mapping[str, Any]]:
        """Return the attributes of each band's array, by band."""
        return {}

    def path(self, folder: Path, file: str) -> Path:
        """Return the GeoTIFF of a scene."""
        return folder / self.name / f"{file}.tif"

    def scene_files(self, folder: Path, file: str) -> tuple[Path, ...]:
        """Return the GeoTIFF."""
        return (self.path(folder, file),)

    def write_scene(
        self, folder: Path, file: str, prediction: ScenePrediction, legend: Legend
    ) -> None:
        """Write the GeoTIFF with overviews and statistics, and a QGIS style beside it."""
        kind = RasterKind(
            self.bands, self.dtype, self.nodata, self.resampling, self.categories(legend)
        )
        write_map(
            self.path(folder, file),
            prediction.cells.grid,
            self._strips(prediction, legend),
            kind,
            style=self.style(legend),
            tags={**legend.tags, "positive": legend.positive},
        )

    def forget_scene(self, folder: Path, file: str) -> None:
        """Delete the GeoTIFF, its style, and the warped VRTs that the mosaic keeps beside it."""
        path = self.path(folder, file)
        forget(path)
        for suffix in (".tif", ".tif.aux.xml", ".qml"):
            path.with_name(file + suffix).unlink(missing_ok=True)

    def whole(self, folder: Path) -> Path:
        """Return the mosaic."""
        return folder / f"{self.name}.vrt"

    def write_whole(self, folder: Path, scenes: FinishedScenes) -> None:
        """Write the mosaic, and a QGIS style beside it."""
        legend = scenes.legend
        write_mosaic(
            self.whole(folder),
            [self.path(folder, file) for file in scenes.files],
            style=self.style(legend),
            categories=self.categories(legend),
        )

    def array(self, prediction: ScenePrediction, legend: Legend) -> AnyArray:
        """Return what ``write_scene`` would write, ``(bands, height, width)``."""
        grid = prediction.cells.grid
        whole = np.empty((len(self.bands), grid.height, grid.width), self.dtype)
        for row, values in self._strips(prediction, legend):
            whole[:, row : row + values.shape[1]] = values
        return whole

    def _strips(
        self, prediction: ScenePrediction, legend: Legend
    ) -> Iterator[tuple[int, AnyArray]]:
        """Yield strips from top to bottom: a first row and its values ``(bands, rows, width)``."""
        columns = np.column_stack([prediction.probabilities, prediction.uncertainty])
        for row, part in means(prediction.cells, columns):
            yield row, self.values(part, legend).astype(self.dtype, copy=False)


def cell_maps() -> list[CellMap]:
    """Return the outputs that are rasters."""
    return [output for output in outputs().values() if isinstance(output, CellMap)]
