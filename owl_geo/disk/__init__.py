"""Files that appear whole, GeoPackages, QGIS styles, and names that any disk takes."""
