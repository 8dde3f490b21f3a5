"""The Processing algorithms: what each command takes from the toolbox, and what it gives back."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputFolder,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputString,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorLayer,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QThread

from .command_algorithm import CommandAlgorithm
from .on_disk import is_file
from .predictions import PATCHES, PROBABILITY, ClosedMaps
from .run_folder import SETTINGS_FILE
from .settings import PluginSettings

translate = QCoreApplication.translate

_FOLDER = QgsProcessingParameterFile.Behavior.Folder
_AS_IT_IS = ["gpkg", "shp", "geojson", "fgb"]  # layers of other formats are exported first
_SOME_FAILED = 3  # exit code of owl-geo predict: finished, some scenes left out


class CreateRun(CommandAlgorithm):
    """``owl-geo init``."""

    def name(self) -> str:
        return "createrun"

    def displayName(self) -> str:
        return translate("OwlGeo", "Create a run")

    def shortHelpString(self) -> str:
        return translate(
            "OwlGeo",
            "Cuts scenes into patches, computes the concepts and makes a run folder.\n\n"
            "Scenes are raster layers, or one folder: a Sentinel-2 (.SAFE) or Landsat product, "
            "or single-band files. Name bands by number, description or common name, separated "
            "by commas: B2,B3,B4,B8. An OSM extract adds ready-made concepts. The last class is "
            "the one you are searching for. If you know some targets, give their points, lines or "
            "polygons as examples: the first batch is then mostly what is like them.",
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        File = QgsProcessingParameterFile
        self.addParameter(
            QgsProcessingParameterMultipleLayers(
                "SCENES",
                translate("OwlGeo", "Scenes"),
                QgsProcessing.SourceType.TypeRaster,
                optional=True,
            )
        )
        self.addParameter(
            File(
                "SCENE_FOLDER",
                translate("OwlGeo", "or a folder with one scene"),
                behavior=_FOLDER,
                optional=True,
            )
        )
        for name, title, default in (
            ("BANDS", translate("OwlGeo", "Bands (all if empty)"), ""),
            (
                "CLASSES",
                translate("OwlGeo", "Classes, with the one you are searching for last"),
                "absent,present",
            ),
        ):
            self.addParameter(
                QgsProcessingParameterString(
                    name, title, defaultValue=default, optional=not default
                )
            )
        for name, title, number in (
            ("PATCH_SIZE", translate("OwlGeo", "Patch size in pixels (chosen if empty)"), None),
            ("INITIAL", translate("OwlGeo", "Patches of the first batch"), 20),
            ("BATCH_SIZE", translate("OwlGeo", "Patches per round"), 10),
        ):
            self.addParameter(
                QgsProcessingParameterNumber(
                    name, title, defaultValue=number, optional=number is None, minValue=1
                )
            )
        self.addParameter(File("OSM", translate("OwlGeo", "OSM extract"), optional=True))
        self.addParameter(
            QgsProcessingParameterVectorLayer(
                "EXAMPLES",
                translate("OwlGeo", "Examples: targets that you know"),
                [QgsProcessing.SourceType.TypeVectorAnyGeometry],
                optional=True,
            )
        )
        # not a destination: its default is a temporary folder, which QGIS deletes with the answers
        self.addParameter(File("RUN", translate("OwlGeo", "New run folder"), behavior=_FOLDER))
        self.addOutput(QgsProcessingOutputFolder("RUN", translate("OwlGeo", "Run folder")))

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        run = self.path_of("RUN", parameters, context)
        scenes = self._scenes(parameters, context)
        folder = self.text_of("SCENE_FOLDER", parameters, context)
        if folder:
            scenes.append(folder)
        if not scenes:
            raise QgsProcessingException(translate("OwlGeo", "no scene was given"))
        arguments = ["init", run, "--source", "geotiff"]
        for scene in scenes:
            arguments += ["--scene", scene]
        for name in ("BANDS", "CLASSES", "OSM"):
            text = self.text_of(name, parameters, context)
            if text:
                arguments += [f"--{name.lower()}", text]
        for name in ("PATCH_SIZE", "INITIAL", "BATCH_SIZE"):
            if self.text_of(name, parameters, context):
                number = self.parameterAsInt(parameters, name, context)
                arguments += [f"--{name.lower().replace('_', '-')}", str(number)]
        arguments += self._examples(parameters, context, feedback)
        self.run_command(arguments, feedback)
        if not _is_there(Path(run) / SETTINGS_FILE):
            raise self.refusal("init")
        return {"RUN": run}

    def _scenes(self, parameters: dict[str, Any], context: QgsProcessingContext) -> list[str]:
        """Return the files of the raster layers; QGIS would leave out what it cannot open."""
        given = parameters.get("SCENES")
        if given in (None, ""):
            return []
        scenes: list[str] = []
        for one in given if isinstance(given, (list, tuple)) else [given]:
            name = "SCENES"
            layers = self.parameterAsLayerList({name: [one]}, name, context)
            files = [layer for layer in layers if _is_file(layer)]
            if not files or len(files) < len(layers):
                message = translate(
                    "OwlGeo",
                    "{layer} is not a raster that GDAL opens; choose another, or leave it out",
                )
                shown = one.name() if hasattr(one, "name") else one
                raise QgsProcessingException(message.format(layer=shown))
            # how QGIS opens a file is no part of its name
            scenes += [layer.source().split("|option:")[0] for layer in files]
        return scenes

    def _examples(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> list[str]:
        """Return the option with the layer of known targets, with its filter applied, or none."""
        if parameters.get("EXAMPLES") in (None, ""):
            return []
        layer = self.parameterAsVectorLayer(parameters, "EXAMPLES", context)
        if layer is None:
            message = translate("OwlGeo", "{layer} is not a vector layer")
            raise QgsProcessingException(message.format(layer=parameters["EXAMPLES"]))
        path, name = self.parameterAsCompatibleSourceLayerPathAndLayerName(
            parameters, "EXAMPLES", context, _AS_IT_IS, "gpkg", feedback
        )
        return ["--examples", f"{path}|layername={name}" if name else path]


def _is_there(path: Path) -> bool:
    with suppress(OSError):  # a name that is none, or a share that has gone since
        return is_file(path)
    return False


def _is_file(layer: object) -> bool:
    return isinstance(layer, QgsRasterLayer) and layer.isValid() and layer.providerType() == "gdal"


def _add_run(algorithm: QgsProcessingAlgorithm) -> None:
    algorithm.addParameter(
        QgsProcessingParameterFile("RUN", translate("OwlGeo", "Run folder"), behavior=_FOLDER)
    )


class NextBatch(CommandAlgorithm):
    """``owl-geo query``."""

    def name(self) -> str:
        return "nextbatch"

    def displayName(self) -> str:
        return translate("OwlGeo", "Next batch")

    def shortHelpString(self) -> str:
        return translate(
            "OwlGeo",
            "Learns from the answers in a run and writes the next batch to label. If no answer to "
            "the last batch was taken in yet (Ingest answers), it is returned again. If a batch is "
            "divided among a team, the log lists every part, and the output is the last one.",
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        _add_run(self)
        self.addOutput(QgsProcessingOutputFile("BATCH", translate("OwlGeo", "Batch")))

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        done = self.run_command(["query", self.path_of("RUN", parameters, context)], feedback)
        if not done.lines or not _is_there(Path(done.lines[-1])):
            raise self.refusal("query")
        return {"BATCH": done.lines[-1]}


class Ingest(CommandAlgorithm):
    """``owl-geo ingest``."""

    def name(self) -> str:
        return "ingest"

    def displayName(self) -> str:
        return translate("OwlGeo", "Ingest answers")

    def shortHelpString(self) -> str:
        return translate(
            "OwlGeo",
            "Checks the answers in a labelled batch and stores them in the run. Ingesting the "
            "same file twice changes nothing. In a model, give the run folder that this returns to "
            "Next batch, which then waits for the answers.",
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        _add_run(self)
        self.addParameter(
            QgsProcessingParameterFile(
                "BATCH", translate("OwlGeo", "Labelled batch"), extension="gpkg"
            )
        )
        self.addOutput(QgsProcessingOutputString("SUMMARY", translate("OwlGeo", "Answers")))
        # in a model, what takes the run from here comes after the answers
        self.addOutput(QgsProcessingOutputFolder("RUN", translate("OwlGeo", "Run folder")))

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        run, batch = (self.path_of(name, parameters, context) for name in ("RUN", "BATCH"))
        whose = PluginSettings().annotator  # of answers that do not say
        done = self.run_command(["ingest", run, batch, "--annotator", whose], feedback)
        if not done.lines:
            raise self.refusal("ingest")
        return {"RUN": run, "SUMMARY": done.lines[0]}


class Predict(CommandAlgorithm):
    """``owl-geo predict``."""

    def name(self) -> str:
        return "predict"

    def displayName(self) -> str:
        return translate("OwlGeo", "Predict")

    def shortHelpString(self) -> str:
        return translate(
            "OwlGeo",
            "Maps the probability of every patch with the model that would choose the next "
            "batch: a cloud-optimised GeoTIFF per scene, one raster over all scenes, and the "
            "most probable patches. Finished scenes are not processed again until there are new "
            "answers. A scene that cannot be read is left out and named, or stops the command.",
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        _add_run(self)
        self.addParameter(
            QgsProcessingParameterNumber(
                "TOP", translate("OwlGeo", "Most probable patches"), defaultValue=1000, minValue=1
            )
        )
        for name, title, default in (
            ("SKIP", translate("OwlGeo", "Leave out scenes that cannot be read"), True),
            ("LOAD", translate("OwlGeo", "Add the maps to the project"), True),
        ):
            self.addParameter(QgsProcessingParameterBoolean(name, title, defaultValue=default))
        self.addOutput(
            QgsProcessingOutputRasterLayer("PROBABILITY", translate("OwlGeo", "Probability"))
        )
        self.addOutput(
            QgsProcessingOutputVectorLayer("PATCHES", translate("OwlGeo", "Most probable patches"))
        )

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        run = self.text_of("RUN", parameters, context)
        # in a model, not even this is done in the thread of the layers
        in_their_thread = QThread.currentThread() == QCoreApplication.instance().thread()
        self._maps = ClosedMaps(Path(run)) if run and in_their_thread else None
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        try:
            return self._predict(parameters, context, feedback)
        finally:
            if self._maps is not None:
                self._maps.replaced.emit()

    def _predict(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        arguments = ["predict", self.path_of("RUN", parameters, context)]
        arguments += ["--top", str(self.parameterAsInt(parameters, "TOP", context))]
        skips = self.parameterAsBool(parameters, "SKIP", context)
        arguments += ["--on-error", "skip" if skips else "fail"]
        done = self.run_command(arguments, feedback, good=(0, _SOME_FAILED))
        made = {Path(line).name: line for line in done.lines}
        if PROBABILITY not in made or PATCHES not in made:
            if done.exit_code != _SOME_FAILED:
                raise self.refusal("predict")
            raise QgsProcessingException(translate("OwlGeo", "no scene could be read"))
        if self.parameterAsBool(parameters, "LOAD", context):
            # the layer to be drawn on top comes last
            self._load(made[PROBABILITY], translate("OwlGeo", "Probability"), context)
            best = f"{made[PATCHES]}|layername=predictions"
            self._load(best, translate("OwlGeo", "Most probable patches"), context)
        return {"PROBABILITY": made[PROBABILITY], "PATCHES": made[PATCHES]}

    def _load(self, source: str, title: str, context: QgsProcessingContext) -> None:
        details = QgsProcessingContext.LayerDetails(title, context.project(), title)
        context.addLayerToLoadOnCompletion(source, details)
