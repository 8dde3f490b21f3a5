"""Batches in projects that are saved, moved and opened again, and layers that the user has changed."""

import shutil

from pathlib import Path

import pytest
from qgis.core import QgsFillSymbol, QgsProject, QgsSingleSymbolRenderer, QgsVectorLayer
from qgis.PyQt.QtTest import QTest
from test_plugin_core import first_round, run
from test_plugin_predictions import predicted_run
from test_plugin_views import caption, panel

from owl_geo_labeler import schema

__all__ = ["first_round", "predicted_run", "run"]  # fixtures


def layers():
    return sorted((one.name(), one.source()) for one in QgsProject.instance().mapLayers().values())


@pytest.mark.parametrize("name", ["views/batch", "shown/known"])
def test_a_project_that_moved_with_its_batch(name, plugin, folder, press, tmp_path, still, labels):
    before, after = tmp_path / "one place", tmp_path / "another place"
    shutil.copytree(folder / name.split("/")[0], before / name.split("/")[0])
    plugin.open(before / f"{name}.gpkg")
    press("1")
    still()
    project = QgsProject.instance()  # whose paths are relative, as QGIS has it
    assert project.write(str(before / "project.qgz"))
    n = len(project.mapLayers())
    press("2")
    still()
    project.clear()
    assert plugin.labelling is None
    before.rename(after)
    assert project.read(str(after / "project.qgz"))
    still()
    path = after / f"{name}.gpkg"
    plugin.open(path)
    still()
    assert len(project.mapLayers()) == n, layers()
    assert all(layer.isValid() for layer in project.mapLayers().values())
    assert plugin.labelling.batch.layer.source() == f"{path}|layername=batch"
    assert plugin.labelling.session.n_answered == 2 and not plugin.labelling.session.can_undo
    press("1")
    assert labels(path)[:3] == ["absent", "present", "absent"]


def test_a_copy_of_the_layer_is_the_users(plugin, batch, press, labels):
    path = batch("binary")
    plugin.open(path)
    layer, project = plugin.labelling.batch.layer, QgsProject.instance()
    copies = [layer.clone(), layer.clone()]
    for copy in copies:
        copy.setName("my copy")
        project.addMapLayer(copy)  # above it
    layer.setName("what I call it")
    press("1")
    plugin.open(path)
    assert plugin.labelling.batch.layer is layer and layer.name() == "what I call it"
    assert [copy.name() for copy in copies] == ["my copy"] * 2
    for copy in copies:
        project.removeMapLayer(copy.id())
    assert plugin.labelling is not None
    press("2")
    assert labels(path)[:2] == ["absent", "present"]


@pytest.mark.parametrize("words", ['"rank" > 2', "1 = 0"])
def test_a_filter_on_the_layer_stays_and_hides_no_patch_from_the_panel(
    words, plugin, batch, press, labels
):
    path = batch("binary")
    plugin.open(path)
    layer, n = plugin.labelling.batch.layer, len(plugin.labelling.session.patches)
    assert layer.setSubsetString(words)
    press("1")
    plugin.open(path)
    assert layers() == [("batch run-001", layer.source())] and layer.subsetString() == words
    assert len(plugin.labelling.session.patches) == n
    assert plugin.labelling.session.n_answered == 1
    press("2")
    assert labels(path)[:3] == ["absent", "present", None]


def test_a_column_that_the_user_deleted_is_named(plugin, batch, press, wait_until, iface):
    plugin.open(batch("binary"))
    layer = plugin.labelling.batch.layer
    assert layer.startEditing() and layer.deleteAttribute(layer.fields().indexOf("comment"))
    assert layer.commitChanges()
    press("1")
    wait_until(lambda: plugin.labelling.store.trouble is not None)
    assert "it has no column comment" in plugin.dock.footer._trouble.text()
    plugin.labelling.store.forget()


@pytest.mark.parametrize("name", ["binary", "binary — batch", "batch run-000", "mine"])
def test_what_the_user_calls_a_layer_stays(name, plugin, batch, open_layer):
    path = batch("binary")
    layer = open_layer(path)
    layer.setName(name)
    plugin.open(path)
    assert plugin.labelling.batch.layer.id() == layer.id()
    assert layer.name() == ("mine" if name == "mine" else "batch run-001")


def test_the_same_message_is_there_once(plugin, iface):
    for _ in range(2):
        plugin._messages.warn("the file <a> has gone")
        plugin._messages.warn("another")
    QTest.qWait(20)
    texts = [item.text() for item in iface.bar.items()]
    assert sorted(texts) == ["another", "the file &lt;a&gt; has gone"]


def seen():
    """Name, whether it is visible and whether it can be drawn, of each layer of the project."""
    project = QgsProject.instance()
    tree = project.layerTreeRoot()
    layers = project.mapLayers().values()
    return sorted((a.name(), tree.findLayer(a.id()).isVisible(), a.isValid()) for a in layers)


@pytest.fixture
def open_project_without(tmp_path, still):
    """Save the project, and open it again while some files are away."""

    def open_project_without(*files):
        project = QgsProject.instance()
        assert project.write(str(tmp_path / "project.qgz"))
        project.clear()
        still()
        away = {path: tmp_path / f"away {n}" for n, path in enumerate(files)}
        for path, place in away.items():
            path.rename(place)
        assert project.read(str(tmp_path / "project.qgz"))
        still()
        for path, place in away.items():
            place.rename(path)

    return open_project_without


def test_a_project_that_was_saved_while_a_view_was_shown(
    plugin, folder, tmp_path, press, still, iface, open_project_without
):
    path = Path(shutil.copytree(folder / "views", tmp_path / "run")) / "batch.gpkg"
    plugin.open(path)
    still()
    before = seen()
    assert ("scene", True, True) in before and ("before", False, True) in before
    press("V")
    still()
    open_project_without()
    assert ("scene", False, True) in seen() and ("before", True, True) in seen()
    plugin.open(path)
    still()
    assert seen() == before
    assert (panel(plugin), caption(iface)) == ("scene", "")
    press("V")
    assert ("scene", False, True) in seen() and ("before", True, True) in seen()
    press("1")
    still()
    assert seen() == before


@pytest.mark.parametrize(("name", "file"), [("shown/known", "scene"), ("views/batch", "old")])
def test_rasters_that_were_missing_are_drawn_once_they_are_back(
    name, file, plugin, folder, tmp_path, press, still, open_project_without
):
    project = QgsProject.instance()
    theirs, batch = name.split("/")
    path = Path(shutil.copytree(folder / theirs, tmp_path / "run")) / f"{batch}.gpkg"
    tiff = folder / theirs / f"{file}.tif"
    (path.parent / tiff.name).unlink()  # which would do instead
    plugin.open(path)
    still()
    before = seen()
    (drawn,) = [one for one in project.mapLayers().values() if str(tiff) in one.source()]
    drawn.setOpacity(0.5)
    open_project_without(tiff)
    assert [valid for *_, valid in seen()].count(False) == 1
    plugin.open(path)
    still()
    assert seen() == before
    (drawn,) = [one for one in project.mapLayers().values() if str(tiff) in one.source()]
    assert drawn.opacity() == 0.5


def test_a_batch_that_was_missing_keeps_its_style_and_filter(
    plugin, batch, press, still, labels, open_project_without
):
    path = batch("binary")
    plugin.open(path)
    layer = plugin.labelling.batch.layer
    layer.setRenderer(QgsSingleSymbolRenderer(QgsFillSymbol.createSimple({"color": "red"})))
    layer.setSubsetString('"rank" < 5')
    open_project_without(path)
    plugin.open(path)
    layer = plugin.labelling.batch.layer
    assert layer.isValid() and layer.featureCount() == 4
    assert isinstance(layer.renderer(), QgsSingleSymbolRenderer)
    assert layer.editorWidgetSetup(layer.fields().indexOf("label")).type() == "ValueMap"
    press("1")
    assert labels(path)[:2] == ["absent", None] and len(layers()) == 1


def test_maps_that_were_missing_are_shown_once_they_are_back(
    plugin, predicted_run, tmp_path, still, messages, open_project_without
):
    run = Path(shutil.copytree(predicted_run, tmp_path / "run"))
    plugin.open_run(run)
    plugin.show_predictions()
    still()
    before = seen()
    open_project_without(run / "predictions")
    assert [valid for *_, valid in seen()].count(False) == 2
    plugin.open_run(run)
    plugin.show_predictions()
    still()
    assert messages() == []
    assert seen() == before


@pytest.mark.parametrize("source", ["{path}", "{folder}/../{path.parent.name}/{path.name}|layername=batch"])
def test_a_layer_whose_source_is_spelled_otherwise_is_the_batchs(source, plugin, batch, press, labels):
    path = batch("binary")
    layer = QgsVectorLayer(source.format(path=path, folder=path.parent), "mine", "ogr")
    assert layer.isValid() and layer.source() != f"{path}|layername=batch"
    QgsProject.instance().addMapLayer(layer)
    plugin.open(path)
    assert plugin.labelling.batch.layer is layer and len(layers()) == 1
    press("1")
    assert labels(path)[0] == "absent"


def test_another_table_of_the_file_is_not_the_batch(plugin, folder, tmp_path):
    path = Path(shutil.copytree(folder / "views", tmp_path / "run")) / "batch.gpkg"
    views = QgsVectorLayer(f"{path}|layername={schema.VIEWS_TABLE}", "views", "ogr")
    assert views.isValid()
    QgsProject.instance().addMapLayer(views)
    plugin.open(path)
    assert plugin.labelling.batch.layer is not views
    assert plugin.labelling.batch.layer.source() == f"{path}|layername=batch"
