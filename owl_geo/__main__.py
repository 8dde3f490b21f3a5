"""``python -m owl_geo`` is ``owl-geo``."""

from owl_geo.cli import main

main()
