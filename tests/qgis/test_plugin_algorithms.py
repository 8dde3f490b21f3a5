"""The algorithms with programs that answer little, nothing, or late, and in models."""

import os
import subprocess
import threading
import time

import pytest
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelParameter,
    QgsProcessingParameterFile,
    QgsProject,
    QgsSettings,
    QgsVectorLayer,
)

PROGRAM = os.environ["OWL_CORE_PROGRAM"]
PROGRESS = r"printf 'Features: 10 of 20 (50 %%)\rFeatures: 20 of 20 (100 %%)\n' >&2; "


class Feedback(QgsProcessingFeedback):
    """Keeps what is said, by its sort."""

    def __init__(self):
        super().__init__(False)
        self.said = {"warning": [], "error": [], "command": [], "progress": []}

    def pushWarning(self, text):
        self.said["warning"].append(text)

    def reportError(self, text, fatalError=False):
        self.said["error"].append(text)

    def pushCommandInfo(self, text):
        self.said["command"].append(text)

    def setProgressText(self, text):
        self.said["progress"].append(text)


def process(name, feedback=None, **parameters):
    """Return what came of it, and the error lines."""
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"owlgeo:{name}")
    context, feedback = QgsProcessingContext(), feedback or Feedback()
    context.setProject(QgsProject.instance())
    results, done = algorithm.run(parameters, context, feedback)
    assert done != bool(feedback.said["error"])
    return results, feedback.said["error"]


@pytest.fixture
def program(plugin, tmp_path):
    """Call with a line of shell to have a program that does just that."""

    def program(does):
        path = tmp_path / "a program"
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)
        QgsSettings().setValue("owl_geo_labeler/executable", str(path))
        return path

    return program


@pytest.fixture
def arguments(folder, tmp_path):
    """Parameters that each algorithm takes, with spaces in the paths."""
    run = str(tmp_path / "my run")
    return {
        "createrun": {"RUN": run, "SCENES": [str(folder / "scenes" / "east.tif")]},
        "nextbatch": {"RUN": run},
        "ingest": {"RUN": run, "BATCH": str(tmp_path / "my batch.gpkg")},
        "predict": {"RUN": run},
    }


NAMES = ("createrun", "nextbatch", "ingest", "predict")
COMMANDS = dict(zip(NAMES, ("init", "query", "ingest", "predict")))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("does", ["exit 0", "echo; echo '  '", "echo 'warning: an old file' >&2"])
def test_a_program_that_ends_well_and_says_nothing(name, does, program, arguments):
    path = program(does)
    results, errors = process(name, **arguments[name])
    says = "did not do what owl-geo does; choose another program in Settings"
    assert errors == [f"{path} {COMMANDS[name]} {says}"] and not results


@pytest.mark.parametrize("name", ["createrun", "nextbatch", "predict"])
def test_a_program_that_names_no_result(name, program, arguments):
    program("echo Welcome")
    assert "did not do what owl-geo does" in process(name, **arguments[name])[1][0]


def test_where_all_scenes_were_left_out(program, arguments):
    program("exit 3")
    assert process("predict", **arguments["predict"])[1] == ["no scene could be read"]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_that_was_left_empty_is_not_the_current_folder(
    name, program, arguments, tmp_path, monkeypatch
):
    program("echo ran; exit 1")
    (tmp_path / "owl.toml").touch()
    monkeypatch.chdir(tmp_path)
    (error,) = process(name, **{**arguments[name], "RUN": " "})[1]
    assert error in ("Run folder is missing", "New run folder is missing")


def test_progress_is_no_warning(program, arguments, tmp_path):
    batch = tmp_path / "batch.gpkg"
    batch.touch()
    program(f"{PROGRESS}echo 'warning: an old file' >&2; echo '{batch}'")
    feedback = Feedback()
    assert process("nextbatch", feedback, **arguments["nextbatch"]) == ({"BATCH": str(batch)}, [])
    assert feedback.said["warning"] == ["warning: an old file"]
    assert feedback.said["progress"][-1] == "Features: 20 of 20 (100 %)"
    assert feedback.progress() == 100
    assert feedback.said["command"] == [f"owl-geo query '{arguments['nextbatch']['RUN']}'"]


def test_work_that_is_stopped(program, arguments):
    program("exec sleep 60")
    feedback = Feedback()
    begun = time.monotonic()
    threading.Timer(0.5, feedback.cancel).start()
    _, errors = process("nextbatch", feedback, **arguments["nextbatch"])
    assert errors == ["stopped; start it again to continue"]
    assert time.monotonic() - begun < 60


def test_a_scene_that_qgis_cannot_open_is_not_left_out_unsaid(program, arguments, folder, batch):
    program("echo ran; exit 1")
    (good,) = arguments["createrun"]["SCENES"]
    vectors = QgsProject.instance().addMapLayer(QgsVectorLayer(str(batch("binary")), "sites", "ogr"))
    for bad in ("/gone.tif", vectors.id()):
        parameters = {**arguments["createrun"], "SCENES": [good, bad]}
        (error,) = process("createrun", **parameters)[1]
        assert error.startswith(f"{bad} is not a raster that GDAL opens")
    (error,) = process("createrun", **{**arguments["createrun"], "SCENES": []})[1]
    assert error == "no scene was given"


def child(model, name, **sources):
    step = QgsProcessingModelChildAlgorithm(f"owlgeo:{name}")
    step.setChildId(name)
    for key, source in sources.items():
        step.addParameterSources(key, [source])
    model.addChildAlgorithm(step)


def test_in_a_model_answers_are_taken_in_before_the_next_batch(plugin, tmp_path):
    QgsSettings().setValue("owl_geo_labeler/executable", PROGRAM)
    run = tmp_path / "my run"
    init = [PROGRAM, "init", run, "--source", "synthetic", "--n-samples", "40", "--initial", "4"]
    subprocess.run(init, check=True, stdout=subprocess.PIPE)
    path = process("nextbatch", RUN=str(run))[0]["BATCH"]
    layer = QgsVectorLayer(f"{path}|layername=batch", "batch", "ogr")
    rows = [row.id() for row in layer.getFeatures()]
    label = layer.fields().indexOf("label")
    assert layer.dataProvider().changeAttributeValues({fid: {label: "absent"} for fid in rows})
    del layer

    ingest = QgsApplication.processingRegistry().algorithmById("owlgeo:ingest")
    assert ingest.outputDefinition("RUN") is not None  # else the designer does not offer it
    model = QgsProcessingModelAlgorithm("a round")
    source = QgsProcessingModelChildParameterSource
    for name in ("RUN", "BATCH"):
        model.addModelParameter(
            QgsProcessingParameterFile(name, name), QgsProcessingModelParameter(name)
        )
    # the order in which they are added says nothing
    child(model, "nextbatch", RUN=source.fromChildOutput("ingest", "RUN"))
    inputs = {name: source.fromModelParameter(name) for name in ("RUN", "BATCH")}
    child(model, "ingest", **inputs)
    context = QgsProcessingContext()
    feedback = Feedback()
    _, done = model.run({"RUN": str(run), "BATCH": path}, context, feedback)
    assert done, feedback.said["error"]
    assert (run / "rounds" / "001" / "batch.gpkg").exists()
