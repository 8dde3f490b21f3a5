"""The only truth about answers: a store that is appended to and never changed."""

from owl_geo.labels.base import Appended, LabelStore, consensus
from owl_geo.labels.geopackage import GeoPackageLabels
from owl_geo.types import Answer

__all__ = ["Answer", "Appended", "GeoPackageLabels", "LabelStore", "consensus"]
