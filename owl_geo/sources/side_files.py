"""Files that products and downloads put beside their bands, known by their names.

Masks, classifications, quality layers, angles, atmosphere and pictures: all of them are rasters,
and none of them is a band unless somebody names it.
"""

from __future__ import annotations

import re

from owl_geo.sources.bands import common_name
from owl_geo.sources.sensors import without_ending

# Parts of a name, in lower case, that a band hardly has in its own.
_SIDE = frozenset(
    (
        # pictures for the eye
        *("tci", "pvi", "visual", "preview", "thumbnail", "thumb", "overview", "browse"),
        *("quicklook", "quicklooks"),
        # classifications and masks: Sentinel-2, Sentinel Hub, Landsat, HLS, Planet, Theia
        *("scl", "cld", "cldprb", "clp", "clm", "snw", "snwprb", "clouds", "classification"),
        *("udm", "udm2", "msk", "edg", "mg2", "testflags"),
        # the atmosphere, and what Landsat's surface temperature was computed from
        *("aot", "wvp", "opacity", "aerosol"),
        *("atran", "cdist", "drad", "emis", "emsd", "trad", "urad"),
        # angles
        *("sza", "saa", "vza", "vaa", "angle", "angles"),
    )
)
_QUALITY = frozenset({"ql", "qa", "qc", "qa10", "qa20", "qa60", "bqa", "quality"})
_PARTS = re.compile(r"[\s_.-]+")
_CODE = re.compile(r"b\d+[a-z]?")
_RESOLUTION = re.compile(r"\d+m")
_THEIA = re.compile(r"_(?:sat|iab|atb)_r\d$")
# What ASF's HyP3 puts beside radar, and FORCE beside reflectance.
_BESIDE_RADAR = re.compile(r"_rtc\d+_.*_(?:inc_map|ls_map|area|dem|rgb)$|^(?:inc|ls)_map$")
_FORCE = re.compile(r"_level[23]_\w+_(?:qai|dst|hot|vzn|wvp|aod|ovv|inf|scr)$")
# Digital Earth Australia's "other attributes"
_OTHER = re.compile(r"(?:^|_final_|^ga_[a-z\d]+_)oa_")
# Earth Engine's names of quality layers: of MODIS, VIIRS, Cloud Score+ and Sentinel-2's clouds
_EARTH_ENGINE = re.compile(r"(?:state|detailed|summary)qa|dayofyear|qf\d|cs(?:_cdf)?")
_CLOUD = re.compile(r"(?:^|_)cloud(?:_?prob(?:ability)?|_?shadows?)?$")  # the last part: of sits
# sur_refl_state_500m, sur_refl_szen; and what MOD09GA and MOD13 have besides
_MODIS = re.compile(
    r"sur_refl_(?!b\d)[a-z]|state_(?:1km|500m|250m)|(?:orbit|granule)_pnt|num_observations_"
    r"|obscov_|iobs_res|q_scan|gflags|pixel_reliability|composite_day_of_the_year"
)

_OF_PRODUCTS = (_THEIA, _BESIDE_RADAR, _FORCE, _MODIS)


def is_side_file(stem: str) -> bool:
    """Return whether a file without its suffix, or an asset, is named as no band is.

    ``T31UFS_20240101_SCL_20m``, ``TCI``, ``x_udm2_clip`` and ``sunZenithAngles`` are; a name that
    ends in a band's code or common name, as ``cloud_free_B04`` does, is not.
    """
    plain = stem.casefold()
    parts = [part for part in _PARTS.split(plain) if part and not _RESOLUTION.fullmatch(part)]
    if not parts:
        return False
    # MSK_CLASSI_B00 of Sentinel-2 has a code too
    if parts[0] == "msk" or any(known.search(plain) for known in _OF_PRODUCTS):
        return True
    if _EARTH_ENGINE.fullmatch(plain) or _CLOUD.search(without_ending(plain)):
        return True
    if any(_CODE.fullmatch(part) for part in parts):
        return False
    if _QUALITY & set(parts):
        return True
    # aerosol alone is the common name of a band, and so is the last part of many a band's name
    if common_name(parts[-1]) or common_name(plain):
        return False
    return bool(_OTHER.search(plain)) or any(
        part in _SIDE or part.endswith("mask") or "zenith" in part or "azimuth" in part
        for part in parts
    )
