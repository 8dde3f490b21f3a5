#!/usr/bin/env bash
# Lists that psycopg sends to PostgreSQL arrive changed where two old settings of the server are off.
#
# Seen with: psycopg 3.3.9 (binary), PostgreSQL 16.2 (pgserver 0.1.4), Python 3.11
# Expected: what is stored is what was given, or an error. psycopg binds parameters apart from the SQL, so it should not
#   matter how the server reads literals in SQL, and for bytes and None that are in no list it does not.
# Instead: a list goes to the server as the text of an array. Its bytes are escaped for a literal of the connection's
#   dialect, and nothing takes that apart again: with standard_conforming_strings off, a point's WKB of 21 bytes becomes
#   the 44 characters of its own hexadecimal notation, a valid bytea. None is written as NULL, which with array_nulls off
#   is a word of four letters like any other. A role or a database may have either setting for the sake of old programs.
#   In binary (%b), lists arrive as they are under both.
# Output as seen:
#   as installed                       one: same   list: same          None: same
#   standard_conforming_strings = off  one: same   list: 44 bytes      None: same
#   array_nulls = off                  one: same   list: same          None: 'NULL'
#   both off, in binary                one: same   list: same          None: same
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet psycopg==3.3.9 psycopg-binary==3.3.9 pgserver==0.1.4
cd "$work"
XDG_RUNTIME_DIR="$work" "$work/venv/bin/python" - <<'PY'
import struct
import sys

import pgserver
import psycopg

WKB = struct.pack("<BIdd", 1, 1, 500_000.0, 5_700_000.0)  # a point in UTM


def stored(connection, form):
    """Return what the server has of some bytes, of a list of them, and of None in a list."""
    take = lambda sql, value: connection.execute(sql, [value]).fetchone()[0]
    return (
        take(f"SELECT %{form}::bytea", WKB),
        take(f"SELECT (%{form}::bytea[])[1]", [WKB]),
        take(f"SELECT (%{form}::text[])[2]", ["a", None]),
    )


def set_(connection, **settings):
    for name in ("standard_conforming_strings", "array_nulls"):
        connection.execute(f"SET {name} = {settings.get(name, 'on')}")


server = pgserver.get_server("data")
try:
    with psycopg.connect(server.get_uri()) as connection:
        found = {}
        set_(connection)
        found["as installed"] = stored(connection, "s")
        set_(connection, standard_conforming_strings="off")
        found["standard_conforming_strings = off"] = stored(connection, "s")
        set_(connection, array_nulls="off")
        found["array_nulls = off"] = stored(connection, "s")
        set_(connection, standard_conforming_strings="off", array_nulls="off")
        found["both off, in binary"] = stored(connection, "b")
finally:
    server.cleanup()
for title, (one, listed, none) in found.items():
    one, listed = ("same" if value == WKB else f"{len(value)} bytes" for value in (one, listed))
    none = "same" if none is None else repr(none)
    print(f"{title:<34} one: {one:<6} list: {listed:<13} None: {none}")
right = (WKB, WKB, None)
kept = found["as installed"] == right and found["both off, in binary"] == right
text = b"\\x" + WKB.hex().encode()
changed = found["standard_conforming_strings = off"] == (WKB, text, None)
changed &= found["array_nulls = off"] == (WKB, WKB, "NULL")
if kept and changed:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
