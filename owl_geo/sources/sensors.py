"""Which sensor took an image, and what its bands are by their codes.

``B5`` is near infrared of Landsat 8, shortwave infrared of Landsat 7, a red edge of Sentinel-2, and
thermal of nobody: a code means something only together with its sensor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set

_Codes = Mapping[str, str]

SENTINEL_2: _Codes = {
    "b1": "coastal",
    "b2": "blue",
    "b3": "green",
    "b4": "red",
    "b5": "rededge1",
    "b6": "rededge2",
    "b7": "rededge3",
    "b8": "nir",
    "b8a": "nir08",
    "b9": "nir09",
    "b10": "cirrus",
    "b11": "swir1",
    "b12": "swir2",
}
_OLI: _Codes = {
    "b1": "coastal",
    "b2": "blue",
    "b3": "green",
    "b4": "red",
    "b5": "nir",
    "b6": "swir1",
    "b7": "swir2",
    "b8": "pan",
    "b9": "cirrus",
    "b10": "thermal",
}
_TM: _Codes = {
    "b1": "blue",
    "b2": "green",
    "b3": "red",
    "b4": "nir",
    "b5": "swir1",
    "b6": "thermal",
    "b7": "swir2",
    "b8": "pan",
}
_MODIS: _Codes = {
    "b1": "red",
    "b2": "nir",
    "b3": "blue",
    "b4": "green",
    "b6": "swir1",
    "b7": "swir2",
}
# Of a vegetation index's product: the numbers are those of its layers, not of the sensor's bands.
_MODIS_INDEX: _Codes = {"b4": "red", "b5": "nir", "b6": "blue", "b7": "swir2"}
_CBERS: _Codes = {  # of CBERS-4 and 4A, whose cameras share one numbering but for the WPM
    "b1": "pan",
    "b2": "green",
    "b3": "red",
    "b4": "nir",
    "b5": "blue",
    "b6": "green",
    "b7": "red",
    "b8": "nir",
    "b9": "pan",
    "b10": "swir1",
    "b11": "swir2",
    "b12": "thermal",
    "b13": "blue",
    "b14": "green",
    "b15": "red",
    "b16": "nir",
}
_WPM: _Codes = {"b0": "pan", "b1": "blue", "b2": "green", "b3": "red", "b4": "nir"}
_ASTER: _Codes = {"b1": "green", "b2": "red", "b3n": "nir", "b4": "swir1", "b6": "swir2"}
_VENUS: _Codes = {
    "b2": "coastal",
    "b3": "blue",
    "b4": "green",
    "b7": "red",
    "b8": "rededge1",
    "b9": "rededge2",
    "b10": "rededge3",
    "b11": "nir",
}
_AHI: _Codes = {
    "b1": "blue",
    "b2": "green",
    "b3": "red",
    "b4": "nir",
    "b5": "swir1",
    "b6": "swir2",
    "b13": "thermal",
}
_OLCI: _Codes = {  # of Sentinel-3, by the numbers of Oa01 to Oa21
    "b3": "coastal",
    "b4": "blue",
    "b6": "green",
    "b8": "red",
    "b11": "rededge1",
    "b12": "rededge2",
    "b16": "rededge3",
    "b17": "nir",
    "b20": "nir09",
}
_SENSORS: Mapping[str, _Codes] = {
    "sentinel2": SENTINEL_2,
    "oli": _OLI,
    "tm": _TM,
    "modis": _MODIS,
    "modis_index": _MODIS_INDEX,
    "cbers": _CBERS,
    "wpm": _WPM,
    "aster": _ASTER,
    "venus": _VENUS,
    "ahi": _AHI,
    "olci": _OLCI,
    "other": {},
}

# Tags and attributes that name a satellite or its sensor.
SENSOR_TAG = re.compile(
    r"satellite|spacecraft|platform|sensor|mission|instrument|constellation|product_(?:id|uri|type)",
    re.IGNORECASE,
)
# How the names of files and the metadata in them name a sensor. A word stands alone: "raster" does
# not name ASTER.
_WORDS = {
    "sentinel2": (
        r"sentinel[-_ ]?2[abc]?|s2[abc](?:_\w*)?|t\d\d[a-z]{3}_\d{8}t\d{6}\w*|hls[._]s30|"
        r"ga_s2[abc]m"
    ),
    "oli": r"landsat[-_ ]?0?[89]|l[co]0?[89](?:_\w*)?|oli(?:_tirs)?|hls[._]l30|ga_ls[89]c",
    "tm": r"landsat[-_ ]?0?[457]|l[te]0?[457](?:_\w*)?|etm|tm|ga_ls[57][te]",
    "modis": r"modis|(?:mod|myd)(?:02|09|43)\w*|mcd43\w*",
    "modis_index": r"(?:mod|myd)13\w*",
    "cbers": r"cbers[-_]4a?[-_](?:mux|a?wfi|pan\d*m?|irs)(?:_\w*)?",
    "wpm": r"cbers[-_]4a[-_]wpm(?:_\w*)?|amazonia[-_]1(?:[-_]\w*)?",
    "aster": r"aster|ast_l1\w*|ast_0\w*",
    "venus": r"venus|venµs",
    "ahi": r"himawari[-_ ]?\d?|ahi|hs_h0\d\w*",
    "olci": r"olci|s3[abc]_ol(?:_\w*)?",
    # whose codes are others than those that they look like: the rest of Sentinel-3, Landsat's first
    # sensor, EO-1, SDGSAT, the Indian Resourcesat, MERIS and VIIRS
    "other": (
        r"sentinel[-_ ]?3[abc]?(?![-_ ]olci)|s3[abc](?!_ol)(?:_\w*)?|"
        r"mss|lm0[1-5](?:_\w*)?|eo[-_ ]?1[ah]?\d*|sdgsat[-_ ]?\d?|kx10|"
        r"resourcesat[-_ ]?\d\w?|liss[-_ ]?(?:\d|i{1,3}|iv)|awifs|meris|viirs|(?:vnp|vj1|vj2)\d\w*"
    ),
}
# SR_B5 tells that it is Landsat, though not which; then these do.
_SHORT = {"oli": r"l[89]", "tm": r"l[457]"}
_LANDSAT_BAND = re.compile(r"s[rt]_b\d+", re.IGNORECASE)

_CODE = re.compile(r"b0*(\d+)([a-z]?)")
# Names that say "band" where others say "b": of CBERS, of Landsat as ESPA made reflectance, and of
# Digital Earth Australia.
_SAYS_BAND = re.compile(
    r"nadir_reflectance_band\d|(?:cbers|amazonia)_\w*_band\d+|(?:l\w*_)?(?:sr|toa)_band\d+|"
    r"ga_(?:ls\d[cte]|s2[abc]m)_.*_final_(?:nbart?_)?band\d+[a-z]?"
)
# What many images, or many dates, are reduced to while the values stay those of the band, as Earth
# Engine puts it behind a band's name. A count or a spread is something else.
_REDUCED = r"median|mean|min|max|first|last|mode|geomedian|medoid|p\d{1,2}"
_DAY = r"\d{4}-\d\d-\d\d|(?:19|20)\d{6}(?:t\d{6}z?)?"  # as sits ends the names of its files
# What programs and people put behind the code: the size of pixels, and what was done to them.
BEHIND = re.compile(
    r"(?:[_\-. ](?:\d+m|clip(?:ped)?|crop(?:ped)?|cut|subset|reproj(?:ected)?|warp(?:ed)?|"
    rf"resampled?|mosaic|merged?|{_REDUCED}|{_DAY}))+$"
)
_APPEEARS = re.compile(r"_doy\d{7,}(?:_aid\d+)?$")  # ends the names of its files: date and area
_SIGNS = (  # by the names of bands
    ("modis", re.compile(r"sur_refl_b\d\d(?:_1)?|nadir_reflectance_band\d", re.IGNORECASE)),
    ("oli", re.compile(r"sr_b6|st_b10", re.IGNORECASE)),
    ("tm", re.compile(r"st_b6", re.IGNORECASE)),
)


def sensor_of(names: Sequence[str], *texts: str) -> str | None:
    """Return the sensor of an image, by the names of its bands and what ``texts`` say of it.

    Texts are what metadata and the names of files say; the first counts that names one sensor only.
    None where nothing tells.
    """
    for sensor, sign in _SIGNS:
        if any(sign.fullmatch(without_ending(name.strip())) for name in names):
            return sensor
    codes = {code for name in names if (code := code_in(name)) is not None}
    if codes & {"b3n", "b3b"}:
        return "aster"
    coded = [name for name in names if code_in(name)]  # files are named by satellite and band
    named = _named(_WORDS, (*coded, *texts))
    if named is None and any(
        _LANDSAT_BAND.fullmatch(without_ending(name.strip())) for name in names
    ):
        named = _named(_SHORT, texts)
    is_other = any(_has_word(text, _WORDS["other"]) for text in texts)
    looks = not is_other and _looks_like_sentinel2(names, codes)
    return named or ("sentinel2" if looks else None)


def _named(words: Mapping[str, str], texts: Sequence[str]) -> str | None:
    for text in texts:
        sensors = [sensor for sensor, pattern in words.items() if _has_word(text, pattern)]
        if len(sensors) == 1:
            return sensors[0]
    return None


def _has_word(text: str, pattern: str) -> bool:
    return bool(re.search(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])", text, re.IGNORECASE))


def _looks_like_sentinel2(names: Sequence[str], codes: Set[str]) -> bool:
    """Sentinel-2 alone has B8A, and its green B03 together with B08, B11 or B12.

    ASTER has a 3N in place of B03, MODIS' codes end before B08, and AHI goes on behind B12, or ends
    before B08. Without padding, B8 is Sentinel-2's in company of B12, which Landsat lacks, and
    where B5 is missing, without which Landsat's panchromatic B8 hardly comes. All of VENuS has a
    B10; of Sentinel-2 only a whole product of level 1 has one, with B8A.
    """
    if "b8a" in codes or not codes <= SENTINEL_2.keys() or "b10" in codes:
        return "b8a" in codes
    if "b8" in codes and "b5" not in codes:
        return True
    if any(re.search(r"b0[1-9](?!\d)", name, re.IGNORECASE) for name in names):
        return codes == {"b2", "b3", "b4"} or ("b3" in codes and bool(codes & {"b8", "b11", "b12"}))
    return {"b3", "b8", "b12"} <= codes


def without_ending(name: str) -> str:
    """Return a band's name in lower case without what says nothing of the band.

    ``x_B02`` of ``x_B02_10m``, ``B02_median`` and ``x_B02_2020-06-04``.
    """
    return BEHIND.sub("", name.casefold())


def code_in(name: str) -> str | None:
    """Return the code that a band's name is, or ends in: ``x_B02`` -> ``b2``; None if none.

    What stands in brackets or behind a comma explains the code: ``B4, central wavelength 665 nm``;
    and what stands behind it may be the size of pixels: ``x_B02_10m``.
    """
    plain = re.sub(
        r"(?<=sur_refl_b\d\d)_1$", "", re.split(r"[,(]", name)[0].strip(" _-").casefold()
    )
    plain = without_ending(_APPEEARS.sub("", plain))
    last = re.split(r"[_\-. ]", plain)[-1]
    if _SAYS_BAND.fullmatch(plain):
        last = last.replace("band", "b")
    code = _CODE.fullmatch(last)
    return None if code is None else f"b{code[1]}{code[2]}"


def by_code(names: Sequence[str], sensor: str | None) -> tuple[str | None, ...]:
    """Return the common name of each band by its code; none where the sensor is not known."""
    codes = {} if sensor is None else _SENSORS[sensor]
    return tuple(codes.get(code_in(name) or "") for name in names)
