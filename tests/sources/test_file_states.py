"""What stands beside a raster counts where it makes other values of the pixels, and only there."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from rasters import coordinates, write_raster

from owl_geo.sources.file_states import changes, file_states, imagery_files, record_files

STATISTICS = '<Metadata><MDI key="STATISTICS_MEAN">7</MDI></Metadata>'


def beside(raster: Path, band: str) -> Path:
    path = raster.with_name(f"{raster.name}.aux.xml")
    text = f'<PAMDataset><PAMRasterBand band="1">{band}</PAMRasterBand></PAMDataset>'
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("in_folder", [False, True])
@pytest.mark.parametrize(
    "declared", ["<NoDataValue>0</NoDataValue>", "<Scale>0.5</Scale>", "<Offset>-1</Offset>"]
)
def test_values_that_are_declared_beside_a_raster_belong_to_it(
    declared: str, in_folder: bool, tmp_path: Path
) -> None:
    """They come with a later program, or are forgotten where only the raster is copied."""
    raster = write_raster(tmp_path / "scene" / "a.tif", coordinates(8, 8))
    path = str(raster.parent if in_folder else raster)
    plain, state = record_files(path, imagery_files), file_states(path)
    side_file = beside(raster, STATISTICS)
    assert changes(path, plain) == []
    assert in_folder or file_states(path) == state
    beside(raster, declared + STATISTICS)
    assert len(changes(path, plain)) == 1
    assert file_states(path) != state
    full = record_files(path, imagery_files)
    assert changes(path, full) == []
    shutil.copytree(raster.parent, tmp_path / "copy")
    assert changes(str(tmp_path / "copy" / Path(path).relative_to(raster.parent)), full) == []
    side_file.unlink()
    assert len(changes(path, full)) == 1


def test_a_mask_beside_a_raster_belongs_to_it(tmp_path: Path) -> None:
    raster = write_raster(tmp_path / "a.tif", coordinates(8, 8))
    before, state = record_files(str(raster), imagery_files), file_states(str(raster))
    mask = np.full((1, 8, 8), 255, dtype="uint8")
    write_raster(tmp_path / "mask.tif", mask).rename(tmp_path / "a.tif.msk")
    assert len(changes(str(raster), before)) == 1
    assert file_states(str(raster)) != state


def test_what_cannot_be_read_beside_a_raster_declares_nothing(tmp_path: Path) -> None:
    raster = write_raster(tmp_path / "a.tif", coordinates(8, 8))
    before = record_files(str(raster), imagery_files)
    assert before[1] == (".aux.xml", 0, 0, "")  # and neither does what is not there
    (tmp_path / "a.tif.aux.xml").write_bytes(b"<PAMDataset><PAMRasterBand")
    assert changes(str(raster), before) == []


def test_a_run_of_before_says_nothing_of_what_stands_beside(tmp_path: Path) -> None:
    raster = write_raster(tmp_path / "a.tif", coordinates(8, 8))
    before = [record for record in record_files(str(raster), imagery_files) if record[0] == ""]
    beside(raster, "<Scale>0.5</Scale>")
    assert len(before) == 1 and changes(str(raster), before) == []
