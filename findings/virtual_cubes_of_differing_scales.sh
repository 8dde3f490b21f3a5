#!/usr/bin/env bash
# virtualizarr 2.5.1, kerchunk 0.2.10, xarray 2026.9.0, zarr 3.1.6, obstore 0.12.1, h5netcdf 1.8.2 (Python 3.11).
#
# VirtualiZarr and kerchunk join many NetCDF files to one cube without copying a pixel. Where files hold whole numbers
# with a scale and an offset, each often has its own (weather reanalyses were packed month by month, by the range of each
# month), and xarray.open_mfdataset unpacks each file by its own. As a Zarr array has one scale, one expects such files
# to be refused, as files with another type or compression are. Instead all are unpacked by the first file's: a month at
# 300 K becomes 285 K, and nothing warns, whether the cube is made by VirtualiZarr or by kerchunk itself. Values look
# right as long as the months are alike.
#
# The way out is to compare scale_factor and add_offset of all files first, or combine_attrs="no_conflicts" in
# VirtualiZarr, which refuses them.
#
# Output as seen, for a month at 290 K and one at 300 K:
#   xarray.open_mfdataset                        290 300
#   VirtualiZarr                                 290 285
#   VirtualiZarr, combine_attrs="no_conflicts"   refused (MergeError)
#   VirtualiZarr, one of them in int32           refused (ValueError)
#   kerchunk                                     290 285
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  virtualizarr==2.5.1 kerchunk==0.2.10 xarray==2026.9.0 zarr==3.1.6 obstore==0.12.1 h5netcdf==1.8.2 h5py==3.16.0 \
  dask==2026.8.0 numpy==2.4.6 pandas==3.1.1
"$folder/venv/bin/python" -W ignore - "$folder" >"$folder/now" <<'PYTHON'
import json
import sys

import numpy as np
import pandas as pd
import xarray as xr
from kerchunk.combine import MultiZarrToZarr
from kerchunk.hdf import SingleHdf5ToZarr
from obspec_utils.registry import ObjectStoreRegistry
from obstore.store import LocalStore
from virtualizarr import open_virtual_mfdataset
from virtualizarr.parsers import HDFParser

FOLDER = sys.argv[1]
REGISTRY = ObjectStoreRegistry({"file://": LocalStore()})
PACKED = {"dtype": "int16", "_FillValue": -32767}


def month(name, start, kelvin, **encoding):
    path = f"{FOLDER}/{name}.nc"
    cube = xr.Dataset(
        {"t2m": (("time", "y", "x"), np.full((2, 4, 4), kelvin, dtype="float32"))},
        coords={"time": pd.date_range(start, periods=2), "y": np.arange(4.0), "x": np.arange(4.0)},
    )
    units = {"units": "days since 2026-01-01"}
    cube.to_netcdf(path, engine="h5netcdf", encoding={"t2m": PACKED | encoding, "time": units})
    return path


def means(references):
    values = xr.open_dataset(references, engine="kerchunk").t2m.mean(("y", "x")).values
    return " ".join(f"{value:.0f}" for value in values[[0, -1]])


def virtual(*paths, **options):
    urls = [f"file://{path}" for path in paths]
    try:
        cube = open_virtual_mfdataset(
            urls, registry=REGISTRY, parser=HDFParser(), combine="nested", concat_dim="time", **options
        )
    except ValueError as error:
        return f"refused ({type(error).__name__})"
    cube.vz.to_kerchunk(f"{FOLDER}/virtual.json", format="json")
    return means(f"{FOLDER}/virtual.json")


def say(what, found):
    print(f"{what:45}{found}")


january = month("january", "2026-01-01", 290, scale_factor=0.001, add_offset=290.0)
july = month("july", "2026-07-01", 300, scale_factor=0.002, add_offset=310.0)
wide = month("wide", "2026-07-01", 300, scale_factor=0.002, add_offset=310.0, dtype="int32")

plain = xr.open_mfdataset([january, july], engine="h5netcdf").t2m.mean(("y", "x")).values
say("xarray.open_mfdataset", " ".join(f"{value:.0f}" for value in plain[[0, -1]]))
say("VirtualiZarr", virtual(january, july))
say('VirtualiZarr, combine_attrs="no_conflicts"', virtual(january, july, combine_attrs="no_conflicts"))
say("VirtualiZarr, one of them in int32", virtual(january, wide))
parts = [SingleHdf5ToZarr(path, inline_threshold=0).translate() for path in (january, july)]
joined = MultiZarrToZarr(parts, concat_dims=["time"], identical_dims=["y", "x"]).translate()
with open(f"{FOLDER}/kerchunk.json", "w") as file:
    json.dump(joined, file)
say("kerchunk", means(f"{FOLDER}/kerchunk.json"))
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
