"""Cut the real scene of the sample data out of a larger one.

    python sample_data/cut_landsat.py L7_ETMs.tif [OUT]

The larger one is the Landsat 7 image of Olinda, Brazil, that the R package stars carries: six bands
(blue, green, red, nir, swir1, swir2), 28.5 m, digital numbers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import rasterio
from rasterio.windows import Window

WINDOW = Window(60, 0, 256, 256)  # forest, town and sea
BANDS = {1: "blue", 2: "green", 3: "red", 4: "nir"}
CRS = "EPSG:31985"  # which the image spells out


def main() -> None:
    """Write olinda/landsat.tif."""
    parser = argparse.ArgumentParser(prog="python sample_data/cut_landsat.py")
    parser.add_argument("image", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=Path(__file__).parent)
    given = parser.parse_args()
    with rasterio.open(given.image) as image:
        pixels = image.read(list(BANDS), window=WINDOW)
        transform = image.window_transform(WINDOW)
    profile = {
        "driver": "GTiff",
        "dtype": pixels.dtype,
        "count": len(BANDS),
        "height": WINDOW.height,
        "width": WINDOW.width,
        "crs": CRS,
        "transform": transform,
        "compress": "deflate",
        "predictor": 2,
        "zlevel": 9,
        "interleave": "band",
        "photometric": "minisblack",
        "alpha": "unspecified",  # four bands of bytes would be three and alpha
    }
    folder = given.out / "olinda"
    folder.mkdir(parents=True, exist_ok=True)
    with rasterio.open(folder / "landsat.tif", "w", **profile) as scene:
        scene.write(pixels)
        scene.descriptions = tuple(BANDS.values())
        scene.update_tags(
            TIFFTAG_COPYRIGHT="public domain; Landsat 7 imagery by the U.S. Geological Survey"
        )


if __name__ == "__main__":
    main()
