"""What ``predict`` writes: each output is registered in ``settings.choices.OUTPUTS`` by its name.

Code outside this package does not know which outputs exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from owl_geo.maps.cells import Cells
from owl_geo.settings.choices import OUTPUTS
from owl_geo.types import FloatArray

if TYPE_CHECKING:
    import geopandas as gpd


@dataclass(frozen=True)
class Legend:
    """What the numbers of a prediction mean."""

    classes: Sequence[str]
    positive: str  # the class that is searched for
    tags: Mapping[str, str] = field(default_factory=dict)  # further entries in files' headers

    @property
    def number(self) -> int:
        """The number of the class that is searched for."""
        return list(self.classes).index(self.positive)


@dataclass(frozen=True)
class ScenePrediction:
    """What a model predicts for the n patches of one scene."""

    cells: Cells  # the cells that the patches fill
    probabilities: FloatArray  # float32 (n, classes)
    uncertainty: FloatArray  # float32 (n,)


@dataclass(frozen=True)
class FinishedScenes:
    """All scenes that one model has predicted, for outputs that cover all of them."""

    files: Sequence[str]  # names of the scenes' files, without the suffix
    legend: Legend
    best: Callable[[], gpd.GeoDataFrame]  # the most probable patches, see ``patches.write_patches``
    areas: gpd.GeoDataFrame  # the ground of the targets, see ``areas.dissolved``
    concepts: Sequence[str]  # columns of these patches


class Output:
    """One of the things that ``predict`` writes into its folder.

    It has files per scene, files over all scenes, or both; no file is ever left half-written.
    Methods raise RunError if the disk is full or the folder cannot be written.

    Args:
        name: the name of its files.
    """

    is_shown = False  # whether the command prints its path at the end

    def __init__(self, name: str) -> None:
        self.name = name

    def scene_files(self, folder: Path, file: str) -> tuple[Path, ...]:
        """Return the files of a finished scene."""
        return ()

    def write_scene(
        self, folder: Path, file: str, prediction: ScenePrediction, legend: Legend
    ) -> None:
        """Write the files of a scene, replacing existing ones; raises RunError."""

    def forget_scene(self, folder: Path, file: str) -> None:
        """Delete the files of a scene and those beside them; raises OSError."""

    def whole(self, folder: Path) -> Path:
        """Return the file over all scenes."""
        raise NotImplementedError

    def write_whole(self, folder: Path, scenes: FinishedScenes) -> None:
        """Write the file over all scenes, replacing an existing one; raises RunError."""
        raise NotImplementedError


def outputs() -> dict[str, Output]:
    """Return all outputs by name, in the order in which they are written."""
    return {name: choice.implementation(name) for name, choice in OUTPUTS.items()}
