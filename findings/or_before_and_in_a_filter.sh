#!/usr/bin/env bash
# pygeofilter 0.4.0, lark 1.3.1 (Python 3.11).
#
# In CQL2 and ECQL, as in SQL, AND binds more closely than OR. pygeofilter, which turns such filters into queries for
# servers of features and of STAC items, reads both from left to right: "mine or quarry after 2020" becomes those of
# either kind that are after 2020, so what the first half asks for is lost, and with OR last the filter is right. Both of
# its parsers of text do so. Nothing warns.
#
# The way out is to write the brackets, or the JSON form of the filter, which has them.
#
# Output as seen, for a mine of 2010, a quarry of 2010 and one of 2024; "by SQL" is what SQLite gives:
#   kind = 'mine' OR kind = 'quarry' AND year > 2020
#     by SQL   mine 2010, quarry 2024
#     by CQL2  quarry 2024
#     by ECQL  quarry 2024
#   kind = 'mine' OR (kind = 'quarry' AND year > 2020)
#     by SQL   mine 2010, quarry 2024
#     by CQL2  mine 2010, quarry 2024
#     by ECQL  mine 2010, quarry 2024
#   kind = 'quarry' AND year > 2020 OR kind = 'mine'
#     by SQL   mine 2010, quarry 2024
#     by CQL2  mine 2010, quarry 2024
#     by ECQL  mine 2010, quarry 2024
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  pygeofilter==0.4.0 lark==1.3.1
"$folder/venv/bin/python" -W ignore - >"$folder/now" <<'PYTHON'
import sqlite3

from pygeofilter import ast
from pygeofilter.parsers.cql2_text import parse as parse_cql2
from pygeofilter.parsers.ecql import parse as parse_ecql

SITES = (("mine", 2010), ("quarry", 2010), ("quarry", 2024))
FILTERS = (
    "kind = 'mine' OR kind = 'quarry' AND year > 2020",
    "kind = 'mine' OR (kind = 'quarry' AND year > 2020)",
    "kind = 'quarry' AND year > 2020 OR kind = 'mine'",
)


def meets(node, kind, year):
    """Return whether a site meets a filter, by the tree that was made of it."""
    if isinstance(node, ast.And):
        return meets(node.lhs, kind, year) and meets(node.rhs, kind, year)
    if isinstance(node, ast.Or):
        return meets(node.lhs, kind, year) or meets(node.rhs, kind, year)
    value = {"kind": kind, "year": year}[node.lhs.name]
    return value > node.rhs if isinstance(node, ast.GreaterThan) else value == node.rhs


database = sqlite3.connect(":memory:")
database.execute("CREATE TABLE sites (kind TEXT, year INTEGER)")
database.executemany("INSERT INTO sites VALUES (?, ?)", SITES)
for text in FILTERS:
    print(text)
    rows = {"SQL": database.execute(f"SELECT * FROM sites WHERE {text}").fetchall()}
    for name, parse in (("CQL2", parse_cql2), ("ECQL", parse_ecql)):
        rows[name] = [site for site in SITES if meets(parse(text), *site)]
    for name, found in rows.items():
        print(f"  by {name:<5} {', '.join(f'{kind} {year}' for kind, year in found)}")
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
