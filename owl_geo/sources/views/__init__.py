"""Views: further rasters of the pool's ground, read on the grid of its patches.

``opening.View`` is one of them with its scenes open, ``reading.ViewReader`` its pixels on another
grid, ``levels`` what makes its values comparable with those of the pool's scenes, and
``source.ViewedSource`` a source whose patches show the views too. Nothing outside asks whether a
source has views: they are further bands.
"""
