"""Sentinel-2 and Landsat products as their providers deliver them."""
