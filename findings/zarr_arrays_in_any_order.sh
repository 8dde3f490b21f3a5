#!/usr/bin/env bash
# zarr 3.1.6, xarray 2026.9.0, numpy 2.4.6, pandas 3.1.1 (Python 3.11).
#
# One expects a group on a disk that nobody writes to to list its arrays in the same order every time, as the folder
# does. Without consolidated metadata (a group within a product, opened by itself, has none) zarr asks for the metadata
# of all members at once and yields each as it arrives, so that Group.array_keys() and the data_vars of
# xarray.open_zarr() change places from opening to opening, within one process too. Whoever takes the variables in
# order, for example as the bands of an image, gets them shuffled now and then. The way out is to sort the names;
# consolidated metadata keep one order too.
#
# How many orders there are is chance; that there are several in 200 openings is what is checked.
#
# Output as seen:
#   format 2: folder one order, zarr several, xarray several, consolidated one order
#   format 3: folder one order, zarr several, xarray several, consolidated one order
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  zarr==3.1.6 xarray==2026.9.0 numpy==2.4.6 pandas==3.1.1
"$folder/venv/bin/python" -W ignore - "$folder" >"$folder/now" <<'PYTHON'
import os
import sys

import xarray as xr
import zarr

BANDS = ("b02", "b03", "b04", "b05", "b06", "b07", "b08", "b11")


def orders(names):
    found = {tuple(names()) for _ in range(200)}
    assert {tuple(sorted(one)) for one in found} == {BANDS}
    return "one order" if len(found) == 1 else "several"


for format in (2, 3):
    path = f"{sys.argv[1]}/cube{format}.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=format)
    for band in BANDS:
        named = {"dimension_names": ("y", "x")} if format == 3 else {}
        array = group.create_array(band, shape=(4, 4), dtype="float32", **named)
        if format == 2:
            array.attrs["_ARRAY_DIMENSIONS"] = ["y", "x"]
    folder = orders(lambda: [name for name in os.listdir(path) if name in BANDS])
    by_zarr = orders(lambda: zarr.open_group(path, mode="r").array_keys())
    by_xarray = orders(lambda: xr.open_zarr(path, consolidated=False).data_vars)
    zarr.consolidate_metadata(path)
    consolidated = orders(lambda: xr.open_zarr(path, consolidated=True).data_vars)
    print(f"format {format}: folder {folder}, zarr {by_zarr}, xarray {by_xarray}, "
          f"consolidated {consolidated}")
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
