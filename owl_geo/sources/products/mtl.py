"""The metadata of a Landsat product, MTL, in its three forms: text, XML and JSON.

Groups are named as in Collection 2, whatever the product calls them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import ParseError  # nosec B405 # for its type

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse as parse_xml

from owl_geo.errors import SourceError

Groups = Mapping[str, Mapping[str, str]]  # values by group and key

CONTENTS, IMAGE, RESCALING = "PRODUCT_CONTENTS", "IMAGE_ATTRIBUTES", "LEVEL1_RADIOMETRIC_RESCALING"


def is_mtl(path: Path) -> bool:
    """Return whether a file is the metadata of a Landsat product, in any of its three forms."""
    return path.name.upper().endswith(("_MTL.TXT", "_MTL.XML", "_MTL.JSON"))


def read_mtl(files: Sequence[Path]) -> tuple[Path, Groups] | None:
    """Return the first of a product's metadata files that says something, and what it says.

    None where none does. Raises SourceError where the only one cannot be read.
    """
    for path in sorted(files, key=lambda path: _FORMS.index(path.suffix.casefold())):
        try:
            groups = _READERS[path.suffix.casefold()](path)
        except SourceError:
            if len(files) == 1:
                raise
            continue
        if groups:
            return path, _renamed(groups)
    return None


def _renamed(groups: Groups) -> Groups:
    """Return groups as Collection 2 names them; what is older keeps the sensor elsewhere."""
    product = groups.get("PRODUCT_METADATA")
    if product is None:
        return groups
    renamed: dict[str, Mapping[str, str]] = {
        CONTENTS: {"COLLECTION_NUMBER": "", **groups.get("METADATA_FILE_INFO", {})},
        IMAGE: {**product, **groups.get(IMAGE, {})},
    }
    if "RADIOMETRIC_RESCALING" in groups:
        renamed[RESCALING] = groups["RADIOMETRIC_RESCALING"]
    return renamed


def _read_text(path: Path) -> dict[str, dict[str, str]]:
    """Return the key-value pairs of each group of MTL.txt."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read the metadata {path}: {error}") from error
    groups: dict[str, dict[str, str]] = {}
    group: dict[str, str] = {}
    for line in lines:
        key, _, value = (part.strip() for part in line.partition("="))
        if key == "GROUP":
            group = groups.setdefault(value, {})
        elif key != "END_GROUP" and value:
            group[key] = value.strip('"')
    return groups


def _read_xml(path: Path) -> dict[str, dict[str, str]]:
    """Return the key-value pairs of each group of MTL.xml."""
    try:
        root = parse_xml(path).getroot()
    except (OSError, ParseError, DefusedXmlException, ValueError) as error:
        raise SourceError(f"cannot read the metadata {path}: {error!r}") from error
    groups = () if root is None else root
    return {group.tag: {one.tag: (one.text or "").strip() for one in group} for group in groups}


def _read_json(path: Path) -> dict[str, dict[str, str]]:
    """Return the key-value pairs of each group of MTL.json."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"cannot read the metadata {path}: {error}") from error
    groups = data.get("LANDSAT_METADATA_FILE", data) if isinstance(data, dict) else {}
    return {
        str(name): {str(key): str(value) for key, value in group.items()}
        for name, group in (groups.items() if isinstance(groups, dict) else ())
        if isinstance(group, dict)
    }


_READERS = {".txt": _read_text, ".xml": _read_xml, ".json": _read_json}
_FORMS = tuple(_READERS)
