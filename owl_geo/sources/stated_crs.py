"""The CRS that a user states for a source, in the place of what its files say."""

from __future__ import annotations

from pyproj import CRS
from pyproj.exceptions import CRSError

from owl_geo.errors import SourceError


def stated_crs(text: str) -> CRS:
    """Return the CRS that the setting ``crs`` of a source names; raises SourceError."""
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise SourceError(
            f"crs is {text!r}, which is not a CRS", remedy="give a code like EPSG:32631, or WKT"
        ) from error
