"""Which closed ways of OpenStreetMap are areas: the community's rules, from ``osm_areas.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class _Rule:
    """What the values of one key make of a closed way."""

    usual: bool  # whether a value makes an area that is not among the others
    others: frozenset[str]


def make_area(tags: Iterable[tuple[str, str | None]]) -> bool | None:
    """Return whether a tag makes a closed way an area; None where the rules know none of the keys.

    ``tags`` are keys and values, None for a tag that the way lacks. The rules leave out the tag
    ``area`` itself.
    """
    lifecycle, rules = _rules()
    has_rule = False
    for key, value in tags:
        before, colon, after = key.partition(":")
        rule = rules.get(after if colon and before in lifecycle else key)
        if rule is None or value is None:
            continue
        if value != "no" and rule.usual != (value in rule.others):
            return True
        has_rule = True
    return False if has_rule else None


@cache
def _rules() -> tuple[frozenset[str], Mapping[str, _Rule]]:
    text = files("owl_geo.concepts").joinpath("osm_areas.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    return frozenset(table["lifecycle"]), {
        key: _Rule(True, frozenset())
        if entry == "any"
        else _Rule("but" in entry, frozenset(entry.get("but", entry.get("only"))))
        for key, entry in table["keys"].items()
    }
