"""Known places that a search begins with: answered before its first batch, as targets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from owl_geo.concepts.osm_files import is_osm
from owl_geo.disk.presence import check_exists
from owl_geo.disk.text_files import NotText
from owl_geo.errors import ConfigError, LayerError
from owl_geo.ground import vector_files
from owl_geo.ground.vector import UNREADABLE
from owl_geo.labels import store_class
from owl_geo.run_folder.folder import EXAMPLES, Run
from owl_geo.settings.config import Settings
from owl_geo.settings.paths import is_local
from owl_geo.verbs.sites.answers import answers_at
from owl_geo.verbs.sites.files import LAYER, holds_a_raster, is_sites
from owl_geo.verbs.sites.placed import AsSites


def check_examples(path: str, settings: Settings) -> None:
    """Raise an error where the places of a file cannot be examples, before anything is made.

    Raises LayerError for a file that is missing, ConfigError for a raster, an OSM file and answers
    to patches, and where the run's answers are kept by a store that is not ready yet.
    """
    file = path.partition(LAYER)[0]
    if is_local(file):
        check_exists(file, LayerError, "examples")
    fault = ""
    if is_osm(file):
        fault = "is an OSM file, and a tag has to tell which of its objects are targets"
    elif holds_a_raster(file):
        fault = "is a raster, not points, lines or polygons"
    elif not is_sites(path) and _is_table_without_places(file):
        fault = "has no coordinates, such as lon and lat"
    elif not is_sites(path):
        fault = "holds answers to patches, not points, lines or polygons"
    if fault:
        raise ConfigError(
            f"examples: {path} {fault}",
            remedy="make the run without it, then use `owl-geo labels import`",
        )
    if store_class(settings.labels).has_administration:
        raise ConfigError(
            f"examples are answers, which {settings.labels} takes only after `owl-geo store init`",
            remedy="make the run without them, then use `owl-geo labels import`",
        )


def _is_table_without_places(file: str) -> bool:
    """Return whether a CSV has neither coordinates nor the patches of answers.

    Raises LayerError where it is no text.
    """
    if Path(file).suffix.lower() != ".csv":
        return False
    try:
        ((layer, _),) = vector_files.list_layers(file)
        return "patch_id" not in vector_files.attributes(file, layer).names
    except NotText as error:
        raise LayerError(f"examples: cannot read {file}: {error}") from error
    except (*UNREADABLE, ValueError):  # an empty file has no layer
        return True


def answer_examples(run: Run, path: str, annotator: str) -> list[str]:
    """Answer the patches that the places of a file lie in, as targets; return what to say of it.

    Raises LayerError where the file cannot be read, or has no place in a patch that may be asked.
    """
    options = AsSites(command="owl-geo labels import ")
    found = answers_at(run, path, run.labels, options, annotator=annotator)
    if not found.new:
        raise LayerError(
            f"examples: no place of {path} lies in a patch that may be answered: "
            f"{'; '.join(found.placed.lines())}",
            remedy="choose other places",
        )
    answers = [replace(answer, batch_id=EXAMPLES) for answer in found.new]
    run.labels.append(answers, run.footprints([answer.patch_id for answer in answers]))
    return found.placed.lines()
