"""Locations on Earth: grids of windows, footprints, CRSs, and other data laid over them."""
