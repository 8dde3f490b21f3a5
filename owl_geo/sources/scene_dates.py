"""The day on which a scene was taken: by metadata, by the names of products, by dates in names.

Only what says when the ground was seen counts. When a file was written or processed does not:
programs put that into ``TIFFTAG_DATETIME``, which therefore is not looked at, and into the names of
products beside the day of acquisition, which is told apart by each product's own pattern.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import PurePosixPath

from owl_geo.settings.paths import path_at

Date = datetime.date

_EARLIEST = Date(1972, 1, 1)  # the year of Landsat 1; what is earlier stands for an unknown date
_LONGEST = datetime.timedelta(days=31)  # of a period that has one date, that of its beginning

# --- what a text says -----------------------------------------------------------------------------

_FORMS = tuple(
    re.compile(form)
    for form in (
        # 2019-06-30T10:40:31Z, 2019:06:30 10:40:31, 20190630, 20190630104031
        r"(?P<year>\d{4})(?P<sign>[-/:.]?)(?P<month>\d\d)(?P=sign)(?P<day>\d\d)(?!\d{1,3}(?!\d))",
        r"(?P<year>\d{4})-?(?P<of_year>\d{3})(?!\d)",  # 2019-181, 2019181
        r"(?P<day>\d\d?)[- ](?P<word>[A-Za-z]{3})[- ](?P<year>\d{4})(?!\d)",  # 30-JUN-2019
    )
)
# 2019-06-30T23:40:31.024-05:00, a moment that may be on another day in UTC
_WITH_OFFSET = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?[+-]\d\d(?::?\d\d)?(?!\d)", re.IGNORECASE
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        (
            *("jan", "feb", "mar", "apr", "may", "jun"),
            *("jul", "aug", "sep", "oct", "nov", "dec"),
        ),
        start=1,
    )
}


def date_of(value: object) -> Date | None:
    """Return the date that a value of metadata is, or begins with; None if it is none.

    A moment with an offset from UTC has its day in UTC, as those in the names of products have.
    Dates of before 1972 and after today are placeholders or mistakes, and count as none.
    """
    if isinstance(value, datetime.datetime):
        return _possible(_day_in_utc(value))
    if isinstance(value, Date):
        return _possible(value)
    text = str(value).strip(" \t\"'{}[]")
    if moment := _WITH_OFFSET.match(text):
        with suppress(ValueError):
            return _possible(_day_in_utc(datetime.datetime.fromisoformat(moment[0].upper())))
    for form in _FORMS:
        if found := form.match(text):
            return _built(found.groupdict())
    return None


def _day_in_utc(moment: datetime.datetime) -> Date:
    """Return the day of a moment, in UTC if it says its offset."""
    if moment.tzinfo is not None:
        with suppress(OverflowError):
            moment = moment.astimezone(datetime.UTC)
    return moment.date()


def _built(parts: Mapping[str, str | None]) -> Date | None:
    year = int(parts["year"] or 0)
    try:
        if of_year := parts.get("of_year"):
            day = Date(year, 1, 1) + datetime.timedelta(days=int(of_year) - 1)
            return _possible(day) if day.year == year else None
        word = parts.get("word")
        month = _MONTHS[word.casefold()] if word else int(parts.get("month") or 0)
        return _possible(Date(year, month, int(parts["day"] or 0)))
    except (KeyError, ValueError, OverflowError):
        return None


def _possible(date: Date) -> Date | None:
    return date if _EARLIEST <= date <= datetime.datetime.now(datetime.UTC).date() else None


def first_day(begin: object, end: object) -> Date | None:
    """Return the first day of a period of at most a month, None of a longer one.

    What has no end that can be read ends where it begins.
    """
    first, last = date_of(begin), date_of(end)
    if first is None or last is None:
        return first
    return first if datetime.timedelta(0) <= last - first <= _LONGEST else None


# --- metadata -------------------------------------------------------------------------------------

# Keys of metadata that say when the ground was seen, without their signs and prefixes, the most
# explicit first: as GDAL has them for Pleiades, WorldView, RapidEye, Landsat, Sentinel-1 and 2,
# NITF, HDF-EOS and ENVI, and as programs write them by hand.
_KEYS = (
    *("acquisitiondatetime", "acquisitiondate", "dateacquired", "acquisitiontime"),
    *("datatakesensingstart", "sensingtime", "sensingstarttime", "sensingstart", "sensingdate"),
    *("acquisitionstarttime", "acquisitionstartdate", "acquired", "imagingdate", "firstlinetime"),
    *("earliestacqtime", "productstarttime", "exifdatetimeoriginal", "nitfidatim", "calendardate"),
    *("rangebeginningdate", "timecoveragestart", "starttime"),
)
# The ends of those that may be long periods.
_ENDS = {
    "rangebeginningdate": ("rangeendingdate",),
    "timecoveragestart": ("timecoverageend",),
    "starttime": ("endtime", "stoptime"),  # satpy's, Sentinel-3's
}
# What GDAL writes into a NITF file where nobody tells it the day.
_PLACEHOLDERS = {"20021216151629"}
_PREFIX = re.compile(r"^datatake\d+(?=datatake)")


def date_in_tags(tags: Mapping[str, object]) -> Date | None:
    """Return the day of acquisition by the tags or attributes of a file, None where none says it.

    Keys may have prefixes that end in a dot, a colon or #: ``IMAGE_1.firstLineTime``.
    """
    plain: dict[str, object] = {}
    for key, value in tags.items():
        word = re.split(r"[.:#]", str(key))[-1]
        word = re.sub(r"[\s_-]", "", word).casefold()
        if str(value).strip() not in _PLACEHOLDERS:
            plain.setdefault(_PREFIX.sub("", word), value)
    for key in (key for key in _KEYS if key in plain):
        end = next((plain[word] for word in _ENDS.get(key, ()) if word in plain), None)
        if (day := first_day(plain[key], end)) is not None:
            return day
    return None


# --- names ----------------------------------------------------------------------------------------

_DAY = r"(\d{8})"
_TIME = r"T\d{6}"
_TILE = r"T\d\d[A-Z]{3}"
# Products by their names. The group is the day of acquisition, which ``date_of`` reads; other dates
# are those of processing.
_PRODUCTS = (
    # Sentinel-2: products, those of before 2016, granules and their images
    rf"S2[A-D]_MSIL\d[A-Z]P?_{_DAY}{_TIME}",
    rf"S2[A-D]_OPER_\w+?_V{_DAY}{_TIME}",
    rf"L\d[A-Z]_{_TILE}_A\d{{6}}_{_DAY}{_TIME}",
    rf"(?<!R\d{{3}}_){_TILE}_{_DAY}{_TIME}",  # behind the orbit of a product it is a discriminator
    # Sentinel-2 at Earth Search, and at Earth Engine
    rf"S2[A-D]_T?\d{{1,2}}[A-Z]{{3}}_{_DAY}(?:{_TIME})?(?:_\d+)?_L\d[A-Z]",
    rf"{_DAY}{_TIME}_\d{{8}}{_TIME}_{_TILE}",
    # Theia's Sentinel-2, Landsat and VENuS
    rf"(?:SENTINEL2[A-D]|LANDSAT\d|VENUS(?:-XS)?)_{_DAY}-\d{{6}}",
    # Landsat: collections 1 and 2, Earth Engine, the analysis-ready data of the USA, before 2017
    rf"L[COTEM]\d\d_L\d[A-Z]{{2}}_\d{{6}}_{_DAY}_\d{{8}}_\d\d",
    rf"L[COTEM]\d\d_\d{{6}}_{_DAY}",
    rf"L[COTEM]\d\d_(?:CU|AK|HI)_\d{{6}}_{_DAY}",
    r"L[COTEM]\d\d{6}(\d{7})[A-Z]{3}\d\d",
    # HLS, MODIS and VIIRS, and the same from AppEEARS
    rf"HLS[._][SL]30[._]{_TILE}[._](\d{{7}}){_TIME}",
    r"(?:M[OYC]D\d\d\w*|VNP\d\d\w*|VJ\d\d\d\w*)[._]A(\d{7})",
    r"(?:M[OYC]D\d\d|VNP\d\d|VJ\d\d\d|HLS|ECO)[\w.-]*_doy(\d{7})(?:\d{6})?",
    # Sentinel-1: products, their images, ASF's and OPERA's terrain-corrected ones; Sentinel-3
    rf"S1[A-D]_(?:S\d|IW|EW|WV|EN|N\d|IM)_\w{{3,4}}_+\d\w{{3}}_{_DAY}{_TIME}",
    rf"S1[A-D]-(?:s\d|iw\d?|ew\d?|wv\d?)-\w{{3}}-\w{{2}}-{_DAY}{_TIME}",
    rf"S1[A-D]_(?:S\d|IW|EW)_{_DAY}{_TIME}",
    rf"OPERA_L\d_[A-Z]+-S1_[\w-]+?_{_DAY}{_TIME}",
    rf"S3[A-D]_[A-Z]{{2}}_\d_\w{{3}}_+{_DAY}{_TIME}",
    # Planet: PlanetScope and SkySat
    rf"{_DAY}_\d{{6}}_(?:\d\d_)?[0-9a-f]{{4}}",
    rf"{_DAY}_\d{{6}}_ssc\d+",
    # Pleiades, SPOT, EnMAP, PRISMA, the aerial images of the USA
    rf"(?:PHR1[AB]|SPOT[67]|PNEO[34])_[A-Z-]+(?:_\d{{3}})?_{_DAY}\d{{4,7}}",
    rf"ENMAP01-[\w-]+?_{_DAY}{_TIME}Z?",
    rf"PRS_L\d\w?_\w+?_{_DAY}\d{{6}}",
    rf"m_\d{{7}}_[ns][ew]_\d\d_(?:h_)?\d{{1,3}}_{_DAY}",
)
_PATTERNS = tuple(
    re.compile(rf"(?<![0-9A-Za-z]){pattern}(?![0-9])", re.IGNORECASE) for pattern in _PRODUCTS
)
_DIGITS = re.compile(r"\d{6}")  # some in a row, as all of them have
_MAXAR = re.compile(r"(?<![0-9A-Za-z])(\d\d)([A-Z]{3})(\d\d)\d{6}-[A-Z]\d", re.IGNORECASE)
_ASTER = re.compile(r"(?<![0-9A-Za-z])AST_\w{2,3}_\d{3}(\d\d)(\d\d)(\d{4})\d{6}(?!\d)")
_PLAIN = re.compile(
    r"(?<![0-9A-Za-z])(\d{4})([-_.]?)(\d\d)\2(\d\d)(?=$|[^0-9A-Za-z]|T\d\d[-_:]?\d\d|Z(?![0-9A-Za-z]))",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def dates_of_products(name: str) -> frozenset[Date]:
    """Return the days of acquisition in a name that has a known product's name in it."""
    if not _DIGITS.search(name):
        return frozenset()
    texts = [found[1] for pattern in _PATTERNS for found in pattern.finditer(name)]
    texts += [f"{found[3]}-{found[2]}-20{found[1]}" for found in _MAXAR.finditer(name)]
    texts += [f"{found[3]}-{found[1]}-{found[2]}" for found in _ASTER.finditer(name)]
    return _dates(texts)


@lru_cache(maxsize=4096)
def dates_in_name(name: str) -> frozenset[Date]:
    """Return the dates in a name, ``2019-06-30``, ``2019_06_30`` or ``20190630``.

    A letter or a digit beside it makes it something else, but for the time of a day, or the Z of
    UTC, as openEO writes it: ``openEO_2023-06-15Z``.
    """
    return _dates("-".join(found.group(1, 3, 4)) for found in _PLAIN.finditer(name))


def _dates(texts: Iterable[str]) -> frozenset[Date]:
    return frozenset(date for text in texts if (date := date_of(text)) is not None)


def scene_date(
    stated: Iterable[Date | None], files: Sequence[str], folder: str, name: str
) -> Date | None:
    """Return the day on which a scene was taken; None where it is unknown, or there are several.

    What the files' metadata say goes before the names of products, and those before other dates in
    names. Of names the files' own go before that of their folder, and the scene's comes last. The
    first that says anything decides, unless it says several days.

    Args:
        stated: what the metadata of each file says.
        files: paths or URLs.
        folder: where the scene is a folder; else empty.
        name: of the scene.
    """
    known = {date for date in stated if date is not None}
    if known:
        return _only(known)
    of_files = dict.fromkeys(map(_last_part, files))
    levels = [list(of_files), [_last_part(folder)], [name]]
    for find in (dates_of_products, dates_in_name):
        for names in levels:
            days = frozenset[Date]().union(*map(find, names))
            if days:
                return _only(days)
    return None


def _only(days: Iterable[Date]) -> Date | None:
    first, *others = days
    return None if others else first


def _last_part(path: str) -> str:
    """Return the name of a file or folder, without what a URL has behind its path."""
    plain = path_at(path) if path.startswith(("http://", "https://")) else path.split("?")[0]
    return PurePosixPath(plain.replace("\\", "/")).name
