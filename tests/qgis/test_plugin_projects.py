"""Batches in projects that are saved, moved and opened again, and layers that the user has changed."""

import shutil

import pytest
from qgis.core import QgsProject
from qgis.PyQt.QtTest import QTest


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
