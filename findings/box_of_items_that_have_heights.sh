#!/usr/bin/env bash
# pystac 1.15.2 (Python 3.11).
#
# The bounding box of a STAC item has six numbers where its outline has heights, as of point clouds and elevation models:
# west, south, lowest, east, north, highest. pystac's Extent.from_items, and update_extent_from_items of a collection,
# always take the third number for the east and the fourth for the north. So a collection of such items reaches from its
# west to its lowest height in metres, and from its south to its east, and a search by place misses it or takes it for
# half the globe. Nothing warns. Where the lowest heights are a few metres, the result looks like any other box.
#
# The way out is to give it items whose boxes are cut to [0, 1, 3, 4].
#
# Output as seen, for three tiles of 0.1 degrees beside each other; "covers" counts the tiles whose middle is in the box:
#   without heights          8.0, 47.0, 8.3, 47.1 covers 3 of 3
#   at 300 to 500 m          8.0, 47.0, 410.0, 8.3 covers 0 of 3
#   at 2 to 60 m             8.0, 47.0, 9.0, 8.3 covers 0 of 3
#   in a collection          8.0, 47.0, 9.0, 8.3 covers 0 of 3
#   with and without heights 8.0, 47.0, 9.0, 47.1 covers 3 of 3
#   of boxes that are cut    8.0, 47.0, 8.3, 47.1 covers 3 of 3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  pystac==1.15.2
"$folder/venv/bin/python" -W ignore - >"$folder/now" <<'PYTHON'
import datetime

import pystac

FIRST = datetime.datetime(2026, 6, 1, tzinfo=datetime.timezone.utc)


def tile(number, lowest=None, highest=None):
    """Return an item of 0.1 degrees, with heights in metres if there are any."""
    west, south, east, north = 8 + number / 10, 47.0, 8.1 + number / 10, 47.1
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    flat = lowest is None
    outline = [[*corner] if flat else [*corner, lowest] for corner in corners]
    box = [west, south, east, north] if flat else [west, south, lowest, east, north, highest]
    shape = {"type": "Polygon", "coordinates": [outline]}
    return pystac.Item(f"tile-{number}", shape, box, FIRST + datetime.timedelta(number), {})


def tell(words, box):
    west, south, east, north = box
    inside = sum(west <= x <= east and south <= 47.05 <= north for x in (8.05, 8.15, 8.25))
    print(f"{words:<24} {west:.1f}, {south:.1f}, {east:.1f}, {north:.1f} covers {inside} of 3")


plain = [tile(number) for number in range(3)]
hills = [tile(number, 300.0 + 55 * number, 500.0) for number in range(3)]
coast = [tile(number, 2.0 + 3.5 * number, 60.0) for number in range(3)]
tell("without heights", pystac.Extent.from_items(plain).spatial.bboxes[0])
tell("at 300 to 500 m", pystac.Extent.from_items(hills).spatial.bboxes[0])
tell("at 2 to 60 m", pystac.Extent.from_items(coast).spatial.bboxes[0])
collection = pystac.Collection("coast", "point clouds", pystac.Extent.from_items(plain))
collection.add_items(coast)
collection.update_extent_from_items()
tell("in a collection", collection.extent.spatial.bboxes[0])
tell("with and without heights", pystac.Extent.from_items([*plain, *coast]).spatial.bboxes[0])
boxes = [[*item.bbox[:2], *item.bbox[3:5]] for item in coast]
west, south, east, north = zip(*boxes, strict=True)
tell("of boxes that are cut", [min(west), min(south), max(east), max(north)])
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
