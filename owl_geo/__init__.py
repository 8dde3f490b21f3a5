"""owl-geo: active learning for rare things in satellite imagery, labelled on the map.

This module offers the verbs and the parts for notebooks and scripts. Everything is imported on
first use, so that ``import owl_geo`` loads neither torch nor rasterio.

The layers, from top to bottom; imports only go down:

    cli
    reporting
    evaluation | engine
    verbs
    run_folder
    search
    learners
    features | truth
    sources | concepts | acquisition | labels | batches | maps
    models | measures | ground
    disk | work | settings
    types | schema | errors | wording
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from owl_geo.acquisition.samplers import (
        ConceptWeightedSampler,
        GreedySampler,
        PowerSampler,
        RandomSampler,
        UncertaintySampler,
    )
    from owl_geo.acquisition.steered import DiscoverySampler
    from owl_geo.engine.engine import Engine
    from owl_geo.errors import OwlError
    from owl_geo.evaluation.comparison import compare
    from owl_geo.evaluation.simulate import run
    from owl_geo.labels.agreement import agreement
    from owl_geo.learners.reptile import Reptile
    from owl_geo.measures.uncertainty import entropy, least_confidence, margin, mutual_information
    from owl_geo.models.cnn import SimpleCNN
    from owl_geo.reporting.document import report
    from owl_geo.reporting.plotting import plot
    from owl_geo.run_folder.folder import Run
    from owl_geo.settings.config import Settings
    from owl_geo.sources.base import PatchSource
    from owl_geo.sources.cube.source import CubeSource
    from owl_geo.sources.geotiff import GeoTiffSource
    from owl_geo.sources.synthetic import SyntheticSource
    from owl_geo.verbs.add import add
    from owl_geo.verbs.classes import add_class
    from owl_geo.verbs.import_answers import import_answers
    from owl_geo.verbs.ingest import ingest
    from owl_geo.verbs.init import init
    from owl_geo.verbs.like import like, more_like
    from owl_geo.verbs.patches import patches
    from owl_geo.verbs.predict import predict, predictions
    from owl_geo.verbs.predict_array import predict_array
    from owl_geo.verbs.query import query
    from owl_geo.verbs.review import review
    from owl_geo.verbs.status import status

_HOME = {
    "ConceptWeightedSampler": "acquisition.samplers",
    "CubeSource": "sources.cube.source",
    "DiscoverySampler": "acquisition.steered",
    "Engine": "engine.engine",
    "GeoTiffSource": "sources.geotiff",
    "GreedySampler": "acquisition.samplers",
    "OwlError": "errors",
    "PatchSource": "sources.base",
    "PowerSampler": "acquisition.samplers",
    "RandomSampler": "acquisition.samplers",
    "Reptile": "learners.reptile",
    "Run": "run_folder.folder",
    "Settings": "settings.config",
    "SimpleCNN": "models.cnn",
    "SyntheticSource": "sources.synthetic",
    "UncertaintySampler": "acquisition.samplers",
    "add": "verbs.add",
    "add_class": "verbs.classes",
    "agreement": "labels.agreement",
    "compare": "evaluation.comparison",
    "entropy": "measures.uncertainty",
    "import_answers": "verbs.import_answers",
    "ingest": "verbs.ingest",
    "init": "verbs.init",
    "least_confidence": "measures.uncertainty",
    "like": "verbs.like",
    "more_like": "verbs.like",
    "margin": "measures.uncertainty",
    "mutual_information": "measures.uncertainty",
    "patches": "verbs.patches",
    "plot": "reporting.plotting",
    "predict": "verbs.predict",
    "predict_array": "verbs.predict_array",
    "predictions": "verbs.predict",
    "query": "verbs.query",
    "report": "reporting.document",
    "review": "verbs.review",
    "run": "evaluation.simulate",
    "status": "verbs.status",
}

__all__ = [
    "ConceptWeightedSampler",
    "CubeSource",
    "DiscoverySampler",
    "Engine",
    "GeoTiffSource",
    "GreedySampler",
    "OwlError",
    "PatchSource",
    "PowerSampler",
    "RandomSampler",
    "Reptile",
    "Run",
    "Settings",
    "SimpleCNN",
    "SyntheticSource",
    "UncertaintySampler",
    "add",
    "add_class",
    "agreement",
    "compare",
    "entropy",
    "import_answers",
    "ingest",
    "init",
    "least_confidence",
    "like",
    "margin",
    "more_like",
    "mutual_information",
    "patches",
    "plot",
    "predict",
    "predict_array",
    "predictions",
    "query",
    "report",
    "review",
    "run",
    "status",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'owl_geo' has no attribute {name!r}")
    return getattr(import_module(f"owl_geo.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
