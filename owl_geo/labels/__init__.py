"""The single source of truth about answers: a store that is appended to and never changed."""

from owl_geo.labels.agreement import Agreement, agreement
from owl_geo.labels.base import (
    AnsweredRun,
    Appended,
    LabelStore,
    consensus,
    disputed,
    newest_answers,
    not_withdrawn,
    settled,
    with_answers,
)
from owl_geo.labels.geopackage import GeoPackageLabels
from owl_geo.labels.opening import open_store, store_class
from owl_geo.types import Answer

__all__ = [
    "Agreement",
    "Answer",
    "AnsweredRun",
    "Appended",
    "GeoPackageLabels",
    "LabelStore",
    "agreement",
    "consensus",
    "disputed",
    "newest_answers",
    "not_withdrawn",
    "open_store",
    "settled",
    "store_class",
    "with_answers",
]
