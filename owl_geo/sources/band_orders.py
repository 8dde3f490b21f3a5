"""Products whose files always have their bands in one order and do not say which is which.

Planet calls band 1 of AnalyticMS blue and band 3 red in its specifications, and some of these files
are marked as red, green, blue and one more, by which red and blue would change places. Aerial
images in colour infrared are marked as red, green and blue too, since they are shown so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from owl_geo.sources.sensors import by_code, sensor_of

_Order = tuple[str | None, ...]

_BGRN: _Order = ("blue", "green", "red", "nir")
_RAPIDEYE: _Order = ("blue", "green", "red", "rededge1", "nir")
_SUPERDOVE: _Order = ("coastal", "blue", None, "green", None, "red", "rededge1", "nir")
_RGBN: _Order = ("red", "green", "blue", "nir")
_NRGB: _Order = ("nir", "red", "green", "blue")
_NRG: _Order = ("nir", "red", "green")
_PNEO: _Order = ("red", "green", "blue", "nir", "rededge1", "coastal")
_UNKNOWN: _Order = (None, None, None)  # in three colours that are others than those of the bands

# What Planet, and who cuts out and reprojects, put behind the kind of a product. Behind anything
# else the bands may be others: indices, or three of them for display.
_BEHIND = (
    r"(?:_(?:sr|dn|8b|toar|harmonized|clip(?:ped)?|crop(?:ped)?|cut|subset|file_format|"
    r"reproj(?:ect(?:ed)?)?|warp(?:ed)?|mosaic|merged?|utm|cog))*"
)
_BY_NAME = (  # what the name of a file is like, and the orders of its bands, by their number
    (rf".*_[13][ab]_(?:basic_)?analyticms{_BEHIND}", (_BGRN, _RAPIDEYE, _SUPERDOVE)),
    (rf".*_re\d_3a_analytic{_BEHIND}", (_RAPIDEYE,)),
    # Pleiades, SPOT 6 and 7 (N is in natural colour, X in false), and both files of Pleiades Neo
    (r"(?:img_)?(?:phr1[ab]|spot[67])_p?ms-x_.*", (_UNKNOWN,)),
    (r"(?:img_)?(?:phr1[ab]|spot[67])_p?ms(?:-n)?_.*", (_RGBN[:3], _RGBN)),
    (r"(?:img_)?pneo[34]_.*_p?ms-fs_.*_ned(?:_.*)?", (("nir", "rededge1", "coastal"),)),
    (r"(?:img_)?pneo[34]_.*_p?ms-fs_.*", (_RGBN[:3], _PNEO)),
    (r"(?:img_)?pneo[34]_.*_p?ms_.*", (_RGBN,)),
    # Gaofen, ZY-3 and SuperView, and Planet's mosaics of the tropics
    (rf"(?:gf\d\w*_\w*|zy3\w*_)(?:pms|mux|wfv).*[-_](?:mss|mux|l1a)\d*{_BEHIND}", (_BGRN,)),
    (rf"sv1-0\d_.*_mux{_BEHIND}", (_BGRN,)),
    (r"planet_medres_normalized_analytic_.*", (_BGRN,)),
    # layers of the Copernicus Browser but for the true colours
    (
        r".*\d{4}.*(?:sentinel|landsat)[-_ ].*[-_ ](?:false[-_ ]colou?r|swir|agriculture|geology|"
        r"urban|ndvi|ndwi|moisture[-_ ]index).*",
        (_UNKNOWN,),
    ),
    (rf".*_ssc?\d+(?:d\d+)?_\w*(?:analytic|pansharpened){_BEHIND}", (_BGRN,)),
    (r"m_\d{7}_[ns][ew]_\d\d_\w+_\d{8}(?:_\d{8})?(?:_(?:clip|cog))?", (_RGBN,)),
    (r"swissimage-rs_.*", (_NRGB,)),
)
# Words in a name that spell its bands, as surveys write them: dop20rgbi_32_350_5600, ..-IRC-E080.
_SPELT = (
    (r"rgb(?:i|n|ir|nir)", _RGBN),
    (r"bgr(?:i|n|ir|nir)", _BGRN),
    (r"(?:n|nir|i)rgb", _NRGB),
    (r"cir|irc|irg|nrg|nirrg", _NRG),
    (r"false[-_ ]?colou?r|colou?r[-_ ]?infrared", _UNKNOWN),
)

# Groups of a Maxar image's IMD, which GDAL reads: one a band, in the order of the bands. But GDAL
# before 3.10 sorts them by name; Maxar's bands stand as they do here.
_GROUP = re.compile(r"BAND_(\w+)\.")
_IMD = {
    **{"P": "pan", "C": "coastal", "B": "blue", "G": "green", "Y": None, "R": "red"},
    **{"RE": "rededge1", "N": "nir", "N2": None},
}


def band_order(stem: str, tags: Mapping[str, str], n: int) -> _Order | None:
    """Return the common names of a file's ``n`` bands if its product has them in a known order.

    ``stem`` is the file's name without ending, ``tags`` what GDAL reads in the file and beside it.
    None where the product is not known, or has another number of bands.
    """
    named = dict.fromkeys(match[1] for key in tags if (match := _GROUP.match(key)) is not None)
    if len(named) == n != 3:  # in an image for display they need not be in the groups' order
        groups = list(named)
        if groups == sorted(groups) and named.keys() <= _IMD.keys():
            groups.sort(key=list(_IMD).index)
        return tuple(_IMD.get(group) for group in groups)
    for pattern, orders in _BY_NAME:
        if re.fullmatch(pattern, stem, re.IGNORECASE):
            return next((order for order in orders if len(order) == n), None)
    return spelt_order(stem, n)


def spelt_order(stem: str, n: int) -> _Order | None:
    """Return the common names of a file's ``n`` bands if its name spells that many."""
    for word, order in _SPELT:
        if len(order) == n and re.search(
            rf"(?<![a-z])(?:dop\d*)?(?:{word})(?![a-z])", stem, re.IGNORECASE
        ):
            return order
    return _by_codes(stem, n)


def _by_codes(stem: str, n: int) -> _Order | None:
    """Return what bands are whose codes the name of a file has in a row: ``S2_B8_B4_B3_2023``."""
    row = re.search(rf"(?<![a-z\d])(?:b\d{{1,2}}a?[-_]?){{{n}}}(?![a-z\d])", stem, re.IGNORECASE)
    codes = re.findall(r"b\d{1,2}a?", row[0], re.IGNORECASE) if row and n > 1 else []
    sensor = sensor_of(codes, stem) if len(codes) == n else None
    return None if sensor is None else by_code(codes, sensor)


def contradicts(order: Sequence[str | None], colours: Sequence[str | None]) -> bool:
    """Return whether the colours in which bands are shown are others than what the bands are."""
    return any(a != b for a, b in zip(order, colours, strict=True) if b)
