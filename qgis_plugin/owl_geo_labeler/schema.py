"""Names in the GeoPackages that the core and the QGIS plugin exchange; standard library only.

The plugin carries a byte-identical copy: the file is the interface between the two, not Python.
"""

LAYOUT_VERSION = 1

BATCH_LAYER = "batch"
LABELS_LAYER = "labels"

UNSURE = "unsure"  # seen, ambiguous: neither trained on nor asked again
SKIP = "skip"  # unusable, never asked again
RESERVED_LABELS = (UNSURE, SKIP)

# Columns before and after the concepts of a batch, in the order of the file.
BATCH_COLUMNS_BEFORE = (
    "patch_id",
    "rank",
    "score",
    "uncertainty",
    "relevance",
    "probability",
)
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
        "fid",
        "geom",
        "geometry",
    }
)
