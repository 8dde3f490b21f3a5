"""What is said of patches, as maps: cloud-optimised GeoTIFFs, mosaics, a GeoPackage, arrays."""
