"""Predictions for patches as maps: cloud-optimised GeoTIFFs, mosaics, a GeoPackage, arrays."""
