"""Data cubes: Zarr and NetCDF, opened with xarray, their dates made one image."""
