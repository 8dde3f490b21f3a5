"""Names in the GeoPackages that the core and the QGIS plugin exchange; standard library only.

The plugin carries a byte-identical copy: the file is the interface between the two, not Python.
"""

from typing import NamedTuple

LAYOUT_VERSION = 1

BATCH_LAYER = "batch"
LABELS_LAYER = "labels"

UNSURE = "unsure"  # seen, ambiguous: neither trained on nor asked again
SKIP = "skip"  # unusable, never asked again
RESERVED_LABELS = (UNSURE, SKIP)

CONSENSUS = "consensus"  # the annotator of labels that several annotators' answers decided

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"  # of labelled_at, in UTC; sorts as text


class WhyColumn(NamedTuple):
    """A column of a batch that says why a patch was chosen: a number, null where there is none.

    The engine's terms have a field of that name. File, form, panel and documentation follow.
    """

    name: str
    title: str  # in QGIS's form; {positive} is the class that is searched for
    in_panel: bool  # whether the panel shows the number as it is
    meaning: str  # for the documentation


WHY_COLUMNS = (
    # not in the panel: it means nothing for patches drawn at random, and would give them away
    WhyColumn(
        "score", "Score", False, "how the strategy rated the patch; empty before there is a model"
    ),
    WhyColumn(
        "uncertainty",
        "Uncertainty",
        True,
        "how unsure the model is; empty before there is a model",
    ),
    WhyColumn("relevance", "Relevance", True, "how strongly the concepts speak for the patch"),
    WhyColumn(  # the panel has a sentence for it
        "probability",
        "Probability of {positive}",
        False,
        "of the class you are searching for; empty before there is a model",
    ),
)

# Columns before and after the concepts of a batch, in the order of the file.
BATCH_COLUMNS_BEFORE = ("patch_id", "rank", *(column.name for column in WHY_COLUMNS))
BATCH_COLUMNS_AFTER = (
    "label",
    "annotator",
    "comment",
    "labelled_at",
    "scene",
    "scene_crs",
    "batch_id",
    "round",
)
EDITABLE_COLUMNS = ("label", "annotator", "comment", "labelled_at")

# What a batch may be answered with stands in the file itself: one row of gpkg_metadata holds a JSON
# object with these keys. Fetch it with BATCH_INFO_QUERY and the parameter BATCH_INFO_URI.
BATCH_INFO_URI = "urn:owl-geo:batch"
BATCH_INFO_MIME = "application/json"
BATCH_INFO_KEYS = ("layout", "batch_id", "round", "classes", "positive")
BATCH_INFO_ANNOTATOR = "annotator"  # a further key, where the batch is one person's part
BATCH_INFO_PATCH_SIZE = "patch_size"  # a further key: height and width of a patch in pixels
BATCH_INFO_QUERY = "SELECT metadata FROM gpkg_metadata WHERE md_standard_uri = ? ORDER BY id"

# Which other patches there are: another row of gpkg_metadata holds a JSON object with patch_size
# and scenes, a list of objects with GRID_KEYS. The patches of a scene start at the pixels `first`
# plus whole multiples of `step`, at `count` places, each a pair of rows and columns. `pool` says
# row by row which of these places may be answered: one bit each, the highest first, deflated, in
# base64. It is metadata, because QGIS asks which table is meant where a file has several.
GRID_URI = "urn:owl-geo:grid"
GRID_KEYS = ("scene", "crs", "transform", "first", "step", "count", "pool")

# An answer that somebody gave beside the batch, to a place that they noticed, is one more row of
# the batch, without a rank. Among all answers of a run, it has this word for its batch.
NOTICED = "noticed"
# An answer that another annotator replaced, or gave before, counts all the same. It is a further
# row of its patch, with neither a rank nor a geometry.

# What the id of a batch ends in that reviews predictions: the most probable patches come first.
REVIEW = "-review"

# Further rasters of the patches' ground, such as an earlier date, to show in the scene's place: a
# table of the batch without geometry, which is not there where a run has none. A row is one raster
# of a view; a view may have several. The path is what GDAL opens, one per line where each band is a
# file of its own; the bands to show are "3,2,1" or "1", each with its low and high value, as
# "120 2140,95 1980,80 1700".
VIEWS_TABLE = "views"
VIEWS_COLUMNS = ("name", "path", "bands", "stretch")

# The scenes that the patches are of, as the run knows them: one more row of gpkg_metadata holds a
# JSON object whose `scenes` are objects with SHOWN_KEYS, one for each way to show a scene. The
# colours are natural, false (near infrared, red, green), or first, where nothing says which band is
# red, green or blue. Paths, bands and stretch are lists, and mean what they mean in the table of
# views. `unknown` lists which of red, green, blue and nir no band is known to be.
SHOWN_URI = "urn:owl-geo:scenes"
SHOWN_KEYS = ("scene", "colours", "paths", "bands", "stretch", "unknown")

# In a team's database a batch is a view with one column more: who labels a patch just now, and
# until when. Written into it, these words take a patch, take it from another, and give it back.
LEASE_COLUMN = "lease"
TAKE, TAKE_OVER, RELEASE = "take", "take over", "release"

# Okabe and Ito's colours, which stay apart for colour-blind eyes; green comes last, because it is
# lost on vegetation. Map and buttons show the same colour for the same label.
CLASS_COLOURS = ("#56B4E9", "#D55E00", "#CC79A7", "#E69F00", "#0072B2", "#009E73")
UNSURE_COLOUR = "#F0E442"
SKIP_COLOUR = "#999999"

LABELS_COLUMNS = (
    "patch_id",
    "label",
    "annotator",
    "labelled_at",
    "batch_id",
    "round",
    "comment",
)

# What a concept may not be called, because a table has such a column already.
RESERVED_COLUMNS = frozenset(
    {
        *BATCH_COLUMNS_BEFORE,
        *BATCH_COLUMNS_AFTER,
        "row_off",
        "col_off",
        "valid_fraction",
        LEASE_COLUMN,
        "fid",
        "geom",
        "geometry",
    }
)


def label_colours(classes: tuple[str, ...]) -> dict[str, str]:
    """Return the colour of each class, of unsure and of skip, as ``#RRGGBB``.

    From the seventh class on the colours come again; the map then dashes the frames.
    """
    colours = {name: CLASS_COLOURS[i % len(CLASS_COLOURS)] for i, name in enumerate(classes)}
    return {**colours, UNSURE: UNSURE_COLOUR, SKIP: SKIP_COLOUR}
