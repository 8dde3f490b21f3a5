"""Files that appear whole, GeoPackages, QGIS styles, and file names that any disk accepts."""
