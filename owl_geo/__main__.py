"""Run ``python -m owl_geo`` as ``owl-geo``."""

from owl_geo.cli import main

main()
