"""Bands of EnMAP and DESIS are known by the wavelengths in the metadata beside their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasters import write_raster

from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.scene_description import describe_scene
from owl_geo.sources.spectra import Line, spectrum_beside

CENTRES = (493.2, 559.4, 664.8, 841.7, 1609.6)
COMMONS = ["blue", "green", "red", "nir", "swir1"]


def enmap(centres: tuple[object, ...] = CENTRES) -> str:
    """Return metadata as EnMAP's processor lays them out; bands are named elsewhere, too."""
    bands = "".join(
        f'<bandID number="{number}"><wavelengthCenterOfBand>{centre}</wavelengthCenterOfBand>'
        "<FWHMOfBand>6.5</FWHMOfBand><GainOfBand>0.0001</GainOfBand></bandID>"
        for number, centre in enumerate(centres, start=1)
    )
    return (
        "<level_X><quality><bandID number='1'><dead>0</dead></bandID></quality>"
        f"<specific><bandCharacterisation>{bands}</bandCharacterisation></specific></level_X>"
    )


def desis() -> str:
    bands = "".join(
        f"<band><bandNumber>{number}</bandNumber><wavelengthWidthOfBand>2.9</wavelengthWidthOfBand>"
        f"<wavelengthCenterOfBand>{centre}</wavelengthCenterOfBand></band>"
        for number, centre in reversed([*enumerate(CENTRES, start=1)])
    )
    return f"<hsi_doc><specific>{bands}</specific></hsi_doc>"


def image(folder: Path, metadata: str, name: str = "ENMAP01-X-METADATA.XML") -> Path:
    product = name[: -len("METADATA.XML")]
    path = folder / f"{product}SPECTRAL_IMAGE.TIF"
    (folder / name).write_text(metadata)
    return write_raster(path, np.ones((5, 32, 32), np.int16))


@pytest.mark.parametrize(
    ("metadata", "name"),
    [(enmap(), "ENMAP01-X-METADATA.XML"), (desis(), "DESIS-HSI-L2A-X-METADATA.xml")],
)
def test_bands_are_known_by_the_wavelengths_beside_their_image(
    tmp_path: Path, metadata: str, name: str
) -> None:
    path = image(tmp_path, metadata, name)
    bands = describe_scene(path).bands
    assert [band.common for band in bands] == COMMONS
    assert [band.wavelength for band in bands] == list(CENTRES)
    assert GeoTiffSource(path, bands=("red", "nir"), patch_size=8).bands == ("red", "nir")


def test_widths_tell_a_panchromatic_band(tmp_path: Path) -> None:
    metadata = enmap((600, *CENTRES[1:])).replace("6.5", "400", 1)
    path = image(tmp_path, metadata)
    assert spectrum_beside(str(path), 5)[0] == Line(600, 400)
    assert describe_scene(path).bands[0].common == "pan"


@pytest.mark.parametrize(
    "metadata",
    [enmap(CENTRES[:4]), enmap((*CENTRES, 2200)), "<level_X>", enmap().replace('"5"', '"4"'), ""],
)
def test_metadata_of_other_bands_or_broken_ones_tell_nothing(tmp_path: Path, metadata: str) -> None:
    bands = describe_scene(image(tmp_path, metadata)).bands
    assert [band.common for band in bands] == [None] * 5


def test_an_image_that_says_its_wavelengths_itself_is_believed(tmp_path: Path) -> None:
    path = image(tmp_path, enmap())
    pixels = np.ones((5, 32, 32), np.int16)
    names = [f"{centre} nm" for centre in reversed(CENTRES)]
    write_raster(path, pixels, descriptions=tuple(names))
    assert [band.common for band in describe_scene(path).bands] == COMMONS[::-1]
