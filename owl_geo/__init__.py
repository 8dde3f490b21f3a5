"""owl-geo: active learning for rare things in satellite imagery, labelled on the map.

The verbs and the parts, for notebooks and scripts. Everything is imported when it is first used, so
that ``import owl_geo`` loads neither torch nor rasterio.

The layers, from top to bottom; imports go down only:

    cli
    addition
    preview | health
    creation
    reporting
    overview
    evaluation
    elsewhere
    loop | intake | prediction | publication
    run_setup
    run_folder
    search
    learners
    features
    scoring | training | audit | validation | patch_table | records
    sources | concepts | models | acquisition | reptile | labels | batches | maps | metrics
    raster | vector | gpkg | qml | uncertainty | footprints | file_names | kappa | answer_checks
    grid | blocks | projections | cluster
    owl_toml | atomic | presets | workers
    config
    types | progress | schema | errors
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from owl_geo.acquisition.samplers import (
        ConceptWeightedSampler,
        DiscoverySampler,
        GreedySampler,
        PowerSampler,
        RandomSampler,
        UncertaintySampler,
    )
    from owl_geo.addition import add
    from owl_geo.config import Settings
    from owl_geo.creation import init
    from owl_geo.elsewhere import predict_array
    from owl_geo.errors import OwlError
    from owl_geo.evaluation.simulate import run
    from owl_geo.intake import import_answers, ingest
    from owl_geo.labels.agreement import agreement
    from owl_geo.loop import query
    from owl_geo.models.cnn import SimpleCNN
    from owl_geo.overview import status
    from owl_geo.prediction import predict, predictions
    from owl_geo.reporting.document import report
    from owl_geo.reporting.plotting import plot
    from owl_geo.reptile import Reptile
    from owl_geo.run_folder import Run
    from owl_geo.sources.base import PatchSource
    from owl_geo.sources.cube import CubeSource
    from owl_geo.sources.geotiff import GeoTiffSource
    from owl_geo.sources.synthetic import SyntheticSource
    from owl_geo.uncertainty import entropy, least_confidence, margin, mutual_information

_HOME = {
    "ConceptWeightedSampler": "acquisition.samplers",
    "CubeSource": "sources.cube",
    "DiscoverySampler": "acquisition.samplers",
    "GeoTiffSource": "sources.geotiff",
    "GreedySampler": "acquisition.samplers",
    "OwlError": "errors",
    "PatchSource": "sources.base",
    "PowerSampler": "acquisition.samplers",
    "RandomSampler": "acquisition.samplers",
    "Reptile": "reptile",
    "Run": "run_folder",
    "Settings": "config",
    "SimpleCNN": "models.cnn",
    "SyntheticSource": "sources.synthetic",
    "UncertaintySampler": "acquisition.samplers",
    "add": "addition",
    "agreement": "labels.agreement",
    "entropy": "uncertainty",
    "import_answers": "intake",
    "ingest": "intake",
    "init": "creation",
    "least_confidence": "uncertainty",
    "margin": "uncertainty",
    "mutual_information": "uncertainty",
    "plot": "reporting.plotting",
    "predict": "prediction",
    "predict_array": "elsewhere",
    "predictions": "prediction",
    "query": "loop",
    "report": "reporting.document",
    "run": "evaluation.simulate",
    "status": "overview",
}

__all__ = [
    "ConceptWeightedSampler",
    "CubeSource",
    "DiscoverySampler",
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
    "agreement",
    "entropy",
    "import_answers",
    "ingest",
    "init",
    "least_confidence",
    "margin",
    "mutual_information",
    "plot",
    "predict",
    "predict_array",
    "predictions",
    "query",
    "report",
    "run",
    "status",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'owl_geo' has no attribute {name!r}")
    return getattr(import_module(f"owl_geo.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
