"""A kind of source that owl-geo does not have, as somebody would add it: a NumPy archive.

``registered`` is what a line in ``settings/sources.py`` would be, for the length of a test.
``python -m trial_source ARGUMENTS`` is the command line of an owl-geo that has it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Union, get_args

import numpy as np
import pandas as pd
from rasters import ORIGIN, UTM

from owl_geo.errors import SourceError
from owl_geo.ground.windows import Windows
from owl_geo.settings.config import Settings
from owl_geo.settings.files import File
from owl_geo.settings.sources import SourceSection
from owl_geo.sources.base import PoolSource, build_index, positions_of
from owl_geo.sources.unopened import OnError, UnopenedSource
from owl_geo.types import FloatArray, IntArray, SceneGrid
from owl_geo.work.progress import Progress


class TrialSettings(SourceSection):
    """Patches in a NumPy archive."""

    home = "trial_source:UnopenedTrial"

    kind: Literal["trial"] = "trial"
    path: File
    patch_size: int = 8


class TrialSource(PoolSource):
    """Patches ``values`` (n, bands, size, size) at ``row_off`` and ``col_off`` of a .npz file."""

    def __init__(self, settings: TrialSettings) -> None:
        try:
            with np.load(settings.path, allow_pickle=False) as archive:
                self._values, row_off, col_off = (
                    archive[name] for name in ("values", "row_off", "col_off")
                )
        except (OSError, ValueError, KeyError) as error:
            raise SourceError(f"cannot read {settings.path} as patches: {error}") from error
        self._settings = settings
        size = settings.patch_size
        self._grid = SceneGrid(
            "trial",
            UTM,
            (10.0, 0.0, ORIGIN[0], 0.0, -10.0, ORIGIN[1]),
            int(row_off.max()) + size,
            int(col_off.max()) + size,
        )
        windows = Windows(self._grid, row_off=row_off, col_off=col_off, patch_size=size)
        self._index = build_index([windows], {"valid_fraction": np.ones(len(windows))})

    @property
    def bands(self) -> tuple[str, ...]:
        return tuple(f"band_{i + 1}" for i in range(self._values.shape[1]))

    @property
    def patch_size(self) -> int:
        return self._settings.patch_size

    @property
    def grids(self) -> Mapping[str, SceneGrid]:
        return {"trial": self._grid}

    @property
    def index(self) -> pd.DataFrame:
        return self._index

    @property
    def chunk_starts(self) -> IntArray:
        return np.zeros(1, dtype=np.int64)

    def read(self, ids: Sequence[str]) -> FloatArray:
        return self._values[positions_of(self._index, ids)]

    def stream(
        self, positions: IntArray | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        if positions is None:
            positions = np.arange(len(self._index), dtype=np.int64)
        for start in range(0, len(positions), batch_size):
            part = positions[start : start + batch_size]
            yield part, self._values[part]


class UnopenedTrial(UnopenedSource[TrialSettings]):
    """The archive before it is read."""

    options = ("scenes", "patch_size")

    @property
    def files(self) -> Mapping[str, Sequence[str]]:
        return {"trial": [self.settings.path]}

    def open(
        self,
        index: pd.DataFrame | None = None,
        progress: Progress | None = None,
        on_error: OnError = "fail",
    ) -> TrialSource:
        return TrialSource(self.settings)


def write_patches(path: Path, n: int = 64, *, bands: int = 2, size: int = 8, seed: int = 0) -> Path:
    """Write ``n`` patches, every second place of a square left free, and return the path."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(n)))
    order = np.arange(n, dtype=np.int64)
    np.savez(
        path,
        values=rng.random((n, bands, size, size), dtype=np.float32),
        row_off=order // side * 2 * size,
        col_off=order % side * 2 * size,
    )
    return path


@contextmanager
def registered() -> Iterator[None]:
    """Make the trial source one of the kinds of source for the length of a ``with``."""
    field = Settings.model_fields["source"]
    kinds = field.annotation
    field.annotation = Union[(*get_args(kinds), TrialSettings)]
    Settings.model_rebuild(force=True)
    try:
        yield
    finally:
        field.annotation = kinds
        Settings.model_rebuild(force=True)


def owl(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``owl-geo`` in a process of its own that has the trial source."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "trial_source", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": path, "COLUMNS": "100"},
        check=False,
    )


def main(arguments: Sequence[str]) -> Any:
    """Run the command line."""
    from owl_geo.cli import main as run

    with registered():
        run(arguments)


if __name__ == "__main__":
    import trial_source  # the module that ``home`` names, and not this one

    trial_source.main(sys.argv[1:])
