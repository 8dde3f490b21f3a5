"""Units of length, as files spell them."""

from __future__ import annotations

import re

_METRES = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1.0),
    **dict.fromkeys(("km", "kilometer", "kilometers", "kilometre", "kilometres"), 1000.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 0.01),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 0.001),
    **dict.fromkeys(("ft", "foot", "feet", "international_foot", "international_feet"), 0.3048),
    **dict.fromkeys(("us-ft", "us_survey_foot", "us_survey_feet"), 1200 / 3937),
}
_COUNTED = re.compile(r"(\d+(?:\.\d+)?(?:e\d+)?)\s+(\S.*)")  # as of 100 km


def metres_in(unit: str) -> float:
    """Return how many metres a unit is, such as ``km`` or ``100 km``; 1 of what is not known."""
    unit = unit.strip().casefold()
    times = _COUNTED.fullmatch(unit)
    if times is not None:
        return float(times[1]) * metres_in(times[2])
    return _METRES.get(re.sub(r"\s+", "_", unit), 1.0)
