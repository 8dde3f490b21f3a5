"""The owl-geo program from QGIS: the next batch, the algorithms, and the scenes under a batch."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from qgis.core import (
    QgsApplication,
    QgsMultiBandColorRenderer,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsSettings,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QFileDialog, QPushButton

PROGRAM = os.environ["OWL_CORE_PROGRAM"]


def owl_geo(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def first_round(folder, tmp_path_factory):
    """A run over two scenes in two CRSs, with its first batch."""
    path = tmp_path_factory.mktemp("first") / "run"
    scenes = folder / "scenes"
    owl_geo(
        *("init", path, "--scene", scenes / "east.tif", "--scene", scenes / "west"),
        *("--bands", "blue,green,red,nir", "--patch-size", 16, "--initial", 6, "--batch-size", 4),
    )
    owl_geo("query", path)
    return path


@pytest.fixture
def run(first_round, tmp_path):
    return Path(shutil.copytree(first_round, tmp_path / "run"))


@pytest.fixture
def with_program(plugin):
    QgsSettings().setValue("owl_geo_labeler/executable", PROGRAM)
    return plugin


def click_next(plugin):
    QTest.mouseClick(plugin.dock.next_button, Qt.MouseButton.LeftButton)


def rasters():
    return [
        layer
        for layer in QgsProject.instance().mapLayers().values()
        if isinstance(layer, QgsRasterLayer)
    ]


def test_two_rounds(with_program, run, press, labels, wait_until, messages):
    plugin = with_program
    plugin.open_run(run)
    first = plugin.labelling.batch.path
    assert first == run / "rounds" / "000" / "batch.gpkg"
    press("1", "2", "1", "2", "U", "S")
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.path != first, seconds=120)
    second = plugin.labelling.batch.path
    assert second == run / "rounds" / "001" / "batch.gpkg"
    assert labels(first) == ["absent", "present", "absent", "present", "unsure", "skip"]
    assert "likely to be present" in plugin.dock.findChild(object, "why").text()
    press("1", "2", "1", "2")
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.path != second, seconds=120)
    assert plugin.labelling.batch.round == 2
    assert messages() == []
    assert "10 patches" in owl_geo("status", run)


def test_qgis_goes_on_while_owl_geo_works(with_program, run, press, wait_until):
    plugin = with_program
    plugin.open_run(run)
    press("1")
    click_next(plugin)
    assert not plugin.dock._work.isHidden()
    assert plugin.dock.next_button.isHidden()
    press("2")
    assert plugin.labelling.session.n_answered == 2
    QTest.mouseClick(plugin.dock._work.findChild(QPushButton), Qt.MouseButton.LeftButton)
    wait_until(lambda: plugin.dock._work.isHidden())
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.round == 1, seconds=120)
    assert "2 patches: 1" in owl_geo("status", run)


def test_answers_given_while_owl_geo_works_arrive_with_the_next_round(
    with_program, run, press, wait_until
):
    plugin = with_program
    plugin.open_run(run)
    press("1")
    click_next(plugin)
    wait_until(lambda: "Learning" in plugin.dock._work_says.text(), seconds=120)
    press("2", "2")
    wait_until(lambda: plugin.labelling.batch.round == 1, seconds=120)
    assert "1 patches: 1 absent" in owl_geo("status", run)
    press("1")
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.round == 2, seconds=120)
    assert "4 patches: 2" in owl_geo("status", run)


def test_the_map_of_a_new_project_is_in_the_scenes_crs(plugin, run, iface, wait_until):
    plugin.open_run(run)
    patch = plugin.labelling.session.patch
    assert plugin.labelling.batch.layer.crs().authid() == "EPSG:4326"
    assert iface.canvas.mapSettings().destinationCrs().authid() == patch.scene_crs
    wait_until(lambda: 600 < iface.canvas.extent().height() < 2000)


def test_the_cores_own_error_line_is_shown(with_program, run, press, wait_until, messages):
    plugin = with_program
    plugin.open_run(run)
    press("1")
    settings = run / "owl.toml"
    settings.write_text(settings.read_text().replace("patch_size = 16", "patch_siez = 16"))
    click_next(plugin)
    wait_until(lambda: messages(), seconds=120)
    (text,) = messages()
    assert "patch_siez" in text and "did you mean" in text
    assert plugin.labelling.batch.round == 0


def test_without_a_program_the_message_says_what_to_set(
    plugin, run, press, messages, labels, monkeypatch
):
    monkeypatch.setenv("PATH", "")
    plugin.open_run(run)
    press("1")
    assert labels(plugin.labelling.batch.path)[0] == "absent"
    click_next(plugin)
    (text,) = messages()
    assert "owl-geo was not found on PATH" in text


def test_a_program_that_is_none_is_said(plugin, run, press, messages, wait_until, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/nowhere/python\n")
    broken.chmod(0o755)
    QgsSettings().setValue("owl_geo_labeler/executable", str(broken))
    plugin.open_run(run)
    press("1")
    click_next(plugin)
    wait_until(lambda: messages())
    assert "cannot be started" in messages()[0]
    assert plugin.dock._work.isHidden()


def test_the_core_does_not_inherit_qgiss_python(plugin, monkeypatch):
    from owl_geo_labeler.core import environment

    for name in ("PYTHONHOME", "PYTHONPATH", "PROJ_LIB", "GDAL_DATA"):
        monkeypatch.setenv(name, "/nowhere")
    assert not {"PYTHONHOME", "PYTHONPATH", "PROJ_LIB", "GDAL_DATA"} & set(environment().keys())


def test_a_run_opens_at_its_newest_batch_with_open_patches(with_program, run, press, wait_until):
    plugin = with_program
    plugin.open_run(run)
    press("1", "2")
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.round == 1, seconds=120)
    press("1", "2", "1", "2")
    plugin.open_run(run)
    assert plugin.labelling.batch.round == 0
    press("1", "1", "1", "1")
    plugin.open_run(run)
    assert plugin.labelling.batch.round == 1
    assert plugin.labelling.session.is_done


def test_a_run_without_a_batch_offers_the_first(with_program, tmp_path, iface, messages, wait_until):
    plugin = with_program
    run = tmp_path / "synthetic"
    owl_geo("init", run, "--source", "synthetic", "--n-samples", 40, "--initial", 3)
    plugin.open_run(run)
    assert "has no batch yet" in messages()[0]
    (button,) = [b for b in iface.bar.findChildren(QPushButton) if "first batch" in b.text()]
    button.click()
    wait_until(lambda: plugin.labelling is not None, seconds=120)
    assert len(plugin.labelling.session.patches) == 3
    assert rasters() == []
    QTest.qWait(20)
    assert messages() == []
    assert "dist industrial" in plugin.dock.findChild(object, "why").text()


def test_a_batch_that_was_handed_on_asks_for_its_run(
    with_program, run, press, messages, monkeypatch, tmp_path, wait_until
):
    plugin = with_program
    copy = shutil.copy(run / "rounds" / "000" / "batch.gpkg", tmp_path / "handed_on.gpkg")
    plugin.open(Path(copy))
    assert any("is not found" in text for text in messages())
    press("1")
    for answer, says in ((tmp_path, "is no run folder"), (None, "")):
        monkeypatch.setattr(
            QFileDialog, "getExistingDirectory", lambda *_, answer=answer: str(answer or "")
        )
        click_next(plugin)
        assert any(says in text for text in messages())
        assert plugin.labelling.batch.path == Path(copy)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(run))
    click_next(plugin)
    wait_until(lambda: plugin.labelling.batch.round == 1, seconds=120)


def test_a_folder_that_is_no_run(plugin, tmp_path, messages):
    plugin.open_run(tmp_path)
    assert "is no run folder" in messages()[0]


def test_the_scenes_lie_under_the_batch_in_natural_colours(plugin, run, press, folder):
    plugin.open_run(run)
    press(*["Right"] * 6)
    layers = {layer.name(): layer for layer in rasters()}
    assert set(layers) == {"east", "west"}
    order = [node.name() for node in QgsProject.instance().layerTreeRoot().children()]
    assert order[0] == plugin.labelling.batch.layer.name()
    for layer in layers.values():
        renderer = layer.renderer()
        assert isinstance(renderer, QgsMultiBandColorRenderer)
        stretch = renderer.redContrastEnhancement()
        assert stretch.minimumValue() < stretch.maximumValue()
    east = layers["east"].renderer()
    assert (east.redBand(), east.greenBand(), east.blueBand()) == (3, 2, 1)
    west = layers["west"]
    assert west.crs().authid() == "EPSG:32630"
    red = QgsRasterLayer(str(folder / "scenes" / "west" / "T31_B04.tif"), "red")
    point = west.extent().center()
    assert west.dataProvider().sample(point, 1) == red.dataProvider().sample(point, 1)
    assert west.extent() == red.extent()


def test_a_scene_that_is_gone_is_said_once(plugin, run, press, messages):
    settings = run / "owl.toml"
    settings.write_text(settings.read_text().replace("east.tif", "gone.tif"))
    plugin.open_run(run)
    press(*["Right"] * 6, *["Left"] * 6)
    (text,) = messages()
    assert "gone.tif" in text and "add it to the project yourself" in text


# --- Processing -----------------------------------------------------------------------------------


def process(name, **parameters):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"owlgeo:{name}")
    assert algorithm.shortHelpString()
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    results, done = algorithm.run(parameters, context, feedback)
    return results if done else feedback.textLog()


def test_the_algorithms_do_a_whole_round(with_program, tmp_path, folder, batch):
    run = tmp_path / "made"
    made = process(
        "createrun",
        SCENES=[str(folder / "scenes" / "east.tif")],
        BANDS="blue,green,red",
        PATCH_SIZE=16,
        INITIAL=3,
        RUN=str(run),
    )
    assert made == {"RUN": str(run)}
    path = Path(process("nextbatch", RUN=str(run))["BATCH"])
    assert path == run / "rounds" / "000" / "batch.gpkg"
    assert "3 unanswered" in process("ingest", RUN=str(run), BATCH=str(path))["SUMMARY"]
    assert "is batch 'run-001' of another run" in process(
        "ingest", RUN=str(run), BATCH=str(batch("binary"))
    )


def test_an_algorithm_fails_with_one_line(with_program, tmp_path):
    assert "no run folder at" in process("nextbatch", RUN=str(tmp_path / "none"))


@pytest.fixture
def team_run(first_round, tmp_path):
    """A run whose second batch is dealt out to Ada and Ben; round 0 is left unanswered."""
    run = Path(shutil.copytree(first_round, tmp_path / "run"))
    owl_geo("query", run, "--go-on", "--annotators", "Ada,Ben", "--overlap", "0.5")
    return run


def test_each_of_a_team_gets_the_own_part(with_program, team_run, press, rows, wait_until, messages):
    plugin = with_program
    folder = team_run / "rounds" / "001"
    (folder / "batch-Ada-answers-20260101T000000Z.gpkg").write_bytes(b"")  # a rescued file is no batch
    plugin.open_run(team_run)
    assert plugin.labelling.batch.path == folder / "batch-Ada.gpkg"
    n = len(plugin.labelling.session.patches)
    press(*"1" * n)
    assert {row[2] for row in rows(folder / "batch-Ada.gpkg")} == {"Ada"}
    click_next(plugin)  # Ben has not answered
    wait_until(lambda: messages(), seconds=120)
    assert "nothing for Ada now" in messages()[0] and "Ben" in messages()[0]
    assert plugin.labelling.batch.path == folder / "batch-Ada.gpkg"
    assert f"{n} patches: {n} absent" in owl_geo("status", team_run)


def test_answers_in_somebody_elses_part_are_theirs(with_program, team_run, press, rows):
    plugin = with_program
    path = team_run / "rounds" / "001" / "batch-Ben.gpkg"
    plugin.open(path)
    assert "for Ben" in plugin.dock._title.text()
    press("2")
    assert rows(path)[0][2] == "Ben"
    press("ctrl+Z")
    assert rows(path)[0][1:3] == [None, "Ben"]


def test_who_is_not_of_the_team_is_told(plugin, team_run, messages):
    QgsSettings().setValue("owl_geo_labeler/annotator", "Eve")
    for path in (team_run / "rounds" / "000").iterdir():
        path.unlink()
    plugin.open_run(team_run)
    assert plugin.labelling is None
    assert "are for Ada, Ben" in messages()[0]
