"""States that a long day brings: unsaved edits, moved folders, broken programs, typing at the wrong moment."""

import os
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsField,
    QgsProject,
    QgsSettings,
    QgsVectorLayer,
    QgsVectorLayerJoinInfo,
)
from qgis.gui import QgsRubberBand
from qgis.PyQt.QtCore import Qt, QVariant
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDockWidget, QLabel, QLineEdit, QPushButton, QToolButton
from test_plugin_faults import press_button, trouble

from owl_geo_labeler.core import error_line
from owl_geo_labeler.store import Trouble


def said(plugin, name):
    label = plugin.dock.findChild(QLabel, name)
    return "" if label.isHidden() else label.text()


def change(layer, rank, **values):
    """Change a row in QGIS's attribute table, without saving the edits."""
    (row,) = [one for one in layer.getFeatures() if one["rank"] == rank]
    for name, value in values.items():
        assert layer.changeAttributeValue(row.id(), layer.fields().indexOf(name), value)


def buttons(iface):
    QTest.qWait(20)
    return [button for button in iface.bar.findChildren(QPushButton) if button.text()]


# --- the layer in QGIS ------------------------------------------------------------------------------


def test_edits_that_are_not_saved_are_no_answers(
    plugin, batch, open_layer, press, labels, messages, iface, still
):
    path = batch("binary")
    layer = open_layer(path)
    assert layer.startEditing()
    change(layer, 1, label="present")
    plugin.open(path)
    session = plugin.labelling.session
    assert plugin.labelling.batch.layer is layer
    assert session.n_answered == 0 and session.current == 0
    (text,) = [text for text in messages() if "not saved" in text]
    assert f"the layer {layer.name()} has edits" in text
    assert not any("-wal" in text for text in messages())
    iface.bar.clearWidgets()
    press("Right", "1")
    plugin.next_batch()  # whose answers would lack what is not saved
    assert plugin.rounds._work is None
    (text,) = messages()
    assert text == f"the layer {layer.name()} has edits that are not saved; save or discard them"
    still()
    assert layer.commitChanges()
    assert labels(path)[:3] == ["present", "absent", None]


def test_edits_of_a_copy_of_the_layer_are_not_saved_either(
    plugin, batch, press, labels, messages, still
):
    path = batch("binary")
    plugin.open(path)
    press("1")
    copy = plugin.labelling.batch.layer.clone()
    copy.setName("mine")
    QgsProject.instance().addMapLayer(copy)
    still()
    assert copy.startEditing()
    change(copy, 2, label="present")
    assert not plugin.rounds._is_saved()  # nor is there a next batch
    (text,) = [text for text in messages() if "not saved" in text]
    assert text == "the layer mine has edits that are not saved; save or discard them"
    assert copy.commitChanges()
    assert labels(path)[:3] == ["absent", "present", None] and plugin.rounds._is_saved()


def test_edits_that_are_saved_in_the_table_are_nobody_elses(
    plugin, batch, wait_until, press, still
):
    plugin.open(batch("binary"))
    layer, session = plugin.labelling.batch.layer, plugin.labelling.session
    still()
    assert layer.startEditing()
    change(layer, 2, label="absent")
    assert layer.commitChanges()
    wait_until(lambda: session.patches[1].answer.label == "absent")
    assert said(plugin, "others") == ""
    from_outside = sqlite3.connect(plugin.labelling.batch.path)
    for name in ("IsEmpty", "MinX", "MaxX", "MinY", "MaxY"):  # the R-tree's triggers name them
        from_outside.create_function(f"ST_{name}", 1, lambda _shape: 0)
    from_outside.execute("UPDATE batch SET label = 'present', annotator = 'Ben' WHERE rank = 3")
    from_outside.commit()
    from_outside.close()
    wait_until(lambda: session.patches[2].answer.label == "present")
    assert said(plugin, "others") == "Others are answering this batch too: Ben (1)."


def test_joins_and_virtual_fields_are_not_the_batchs(
    plugin, batch, open_layer, press, labels, still, iface
):
    path = batch("binary")
    layer = open_layer(path)
    layer.addExpressionField("'present'", QgsField("virtual", QVariant.String))
    table = QgsVectorLayer("None?field=patch_id:string&field=remark:string", "t", "memory")
    QgsProject.instance().addMapLayer(table)
    join = QgsVectorLayerJoinInfo()
    join.setJoinLayer(table)
    join.setJoinFieldName("patch_id")
    join.setTargetFieldName("patch_id")
    join.setPrefix("")
    assert layer.addJoin(join)
    plugin.open(path)
    press("2")
    assert labels(path)[:2] == ["present", None]
    still()
    path.unlink()
    press("1")
    press_button(iface, "Save as a new file")
    (rescued,) = path.parent.glob("binary-answers-*.gpkg")
    assert labels(rescued)[:3] == ["present", "absent", None]
    kept = QgsVectorLayer(f"{rescued}|layername=batch", "kept", "ogr")
    assert not {"virtual", "remark"} & {field.name() for field in kept.fields()}


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:2263"])
def test_the_outline_stays_on_its_patch_in_another_crs(crs, plugin, batch, iface, press):
    plugin.open(batch("binary"))
    press("Right")
    QTest.qWait(50)
    (band,) = [item for item in iface.canvas.scene().items() if isinstance(item, QgsRubberBand)]
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem(crs))
    here = plugin.labelling.batch
    polygon = here.features[plugin.labelling.session.patch.fid].geometry()
    polygon.transform(
        QgsCoordinateTransform(here.crs, QgsCoordinateReferenceSystem(crs), QgsProject.instance())
    )
    box, drawn = polygon.boundingBox(), band.asGeometry().boundingBox()
    assert drawn.center().distance(box.center()) < 0.01 * box.width()


def test_english_reads_from_the_left_in_a_qgis_that_reads_from_the_right(plugin, batch, iface):
    plugin.open(batch("binary"))
    plugin.dock.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    try:
        QTest.qWait(50)
        back, on, *_ = [
            button for button in plugin.dock.findChildren(QToolButton) if button.text() in ("◀", "▶")
        ]
        assert (back.text(), on.text()) == ("◀", "▶")
        assert back.x() < on.x()
    finally:
        plugin.dock.unsetLayoutDirection()


# --- files and folders ------------------------------------------------------------------------------


def test_a_batch_whose_folder_was_moved_is_not_open_in_another_window(
    plugin, batch, press, labels, still, tmp_path
):
    path = batch("binary")
    folder = tmp_path / "here"
    folder.mkdir()
    path = Path(shutil.move(path, folder))
    plugin.open(path)
    press("2")
    assert labels(path)[0] == "present"
    still()
    moved = folder.rename(tmp_path / "there") / path.name
    plugin.open(moved)
    assert said(plugin, "others") == ""
    assert plugin.labelling.store.opened_by == ""
    assert moved.with_name(f".{moved.name}.open").exists()
    press("1")
    assert labels(moved)[:3] == ["present", "absent", None]


def test_the_way_out_is_offered_again_for_later_answers(
    plugin, batch, press, labels, iface, still, wait_until
):
    path = batch("binary")
    plugin.open(path)
    still()
    path.unlink()
    press("2")
    wait_until(lambda: buttons(iface))
    press_button(iface, "Save as a new file")
    assert not buttons(iface)
    press("1")
    wait_until(lambda: buttons(iface))
    press_button(iface, "Save as a new file")
    rescued = sorted(path.parent.glob("binary-answers-*.gpkg"), key=os.path.getmtime)
    assert labels(rescued[-1])[:3] == ["present", "absent", None]


def test_what_refuses_answers_is_said_with_what_to_do(plugin, batch, messages):
    plugin.open(batch("binary"))
    plugin.labelling.store._say(Trouble.REFUSED, "database or disk is full")
    assert "(database or disk is full); carry on, they are kept; see that" in trouble(plugin).text()
    assert "room on the disk" in messages()[0]


# --- the program ------------------------------------------------------------------------------------

PROGRAMS = {
    "module": (
        f"#!{sys.executable}\nimport owl_geo_that_is_gone\n",
        " failed: ModuleNotFoundError: No module named 'owl_geo_that_is_gone'; run owl-geo doctor, "
        "or choose another program in Settings",
        True,
    ),
    "nothing": (
        "#!/bin/sh\nexit 0\n",
        " query returned no batch; is it owl-geo? Choose another in Settings",
        True,
    ),
    "silent": (
        "#!/bin/sh\nexit 7\n",
        " failed: exit code 7; run owl-geo doctor, or choose another program in Settings",
        True,
    ),
    "killed": (
        "#!/bin/sh\necho 'Scoring: 20 of 100 (20 %)' >&2\nkill -9 $$\n",
        " was killed, perhaps for lack of memory; start it again to continue",
        False,
    ),
}


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_program_that_fails_without_an_error_line(
    kind, plugin, folder, tmp_path, press, messages, wait_until, iface
):
    text, says, has_settings = PROGRAMS[kind]
    program = tmp_path / "owl-geo"
    program.write_text(text)
    program.chmod(0o755)
    QgsSettings().setValue("owl_geo_labeler/executable", str(program))
    run = shutil.copytree(folder / "beside", tmp_path / "run")
    plugin.open(run / "rounds" / "000" / "batch.gpkg")
    press("1")
    iface.bar.clearWidgets()
    plugin.next_batch()
    wait_until(lambda: plugin.rounds._work is None)
    (shown,) = messages()
    assert shown == f"{program}{says}"
    assert ["Settings…" == button.text() for button in buttons(iface)] == [True] * has_settings


def test_progress_is_no_error():
    assert "Scoring" not in error_line("owl-geo", "Scoring: 20 of 100 (20 %)\n", 1)
    stopped = "stopped; the same command goes on from here"
    assert error_line("owl-geo", f"{stopped}\n", 143) == stopped


# --- the keyboard -----------------------------------------------------------------------------------


@pytest.fixture
def next_one(plugin, folder, tmp_path, press):
    """Label a batch of a run; call to let the run's next batch come, as from owl-geo."""
    run = shutil.copytree(folder / "beside", tmp_path / "run")
    first, second = (run / "rounds" / number / "batch.gpkg" for number in ("000", "001"))
    plugin.open(first)
    press("2")

    def come():
        plugin.rounds._on_next(second)
        QTest.qWait(50)
        return second

    come.first = first
    return come


@pytest.mark.parametrize("ends", ["Return", "click"])
def test_a_batch_that_comes_while_a_comment_is_typed_waits_for_its_end(
    ends, next_one, plugin, press, rows, iface, wait_until
):
    press("C")
    QTest.keyClicks(plugin.dock.comment, "half a ")
    second = next_one()
    assert said(plugin, "note") == "the next batch is ready; Return opens it"
    QTest.keyClicks(plugin.dock.comment, "sunken road 1")
    assert plugin.labelling.batch.path == next_one.first
    if ends == "Return":
        QTest.keyClick(plugin.dock.comment, Qt.Key.Key_Return)
    else:
        iface.canvas.setFocus()
    wait_until(lambda: plugin.labelling.batch.path == second)
    assert rows(next_one.first)[1][3] == "half a sunken road 1"
    assert plugin.labelling.session.n_answered == 0
    press("1")
    assert [row[1] for row in rows(second)][:2] == ["absent", None]


def test_a_batch_that_waited_is_not_opened_over_another(next_one, plugin, press, batch):
    press("C")
    QTest.keyClicks(plugin.dock.comment, "half")
    next_one()
    other = batch("quotes")
    plugin.open(other)
    QTest.qWait(50)
    assert plugin.labelling.batch.path == other
    press("C", "Return")
    QTest.qWait(50)
    assert plugin.labelling.batch.path == other


def test_a_batch_that_comes_while_somebody_types_elsewhere_leaves_the_keyboard_there(
    next_one, plugin, press, rows, iface
):
    panel = QDockWidget("Browser", iface.window)
    field = QLineEdit(panel)
    panel.setWidget(field)
    iface.window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, panel)
    try:
        QTest.qWait(20)
        field.setFocus()
        second = next_one()
        assert plugin.labelling.batch.path == second
        press("1", "2", "S")
        assert field.text().lower() == "12s"
        assert not any(row[1] for row in rows(second))
        assert said(plugin, "where") == "Keys go to: Browser. F8 brings them back."
        plugin.take_back()
        press("1")
        assert rows(second)[0][1] == "absent"
        (action,) = [one for one in plugin._menu._actions if one.shortcut().toString() == "F8"]
        for key, named in (("Ctrl+Alt+L", "Ctrl+Alt+L"), ("", "Plugins > owl-geo > Label with")):
            action.setShortcut(key)  # as in QGIS's settings
            iface.canvas.setFocus()
            field.setFocus()
            assert said(plugin, "where").startswith(f"Keys go to: Browser. {named}")
    finally:
        iface.window.removeDockWidget(panel)
        panel.deleteLater()


def test_what_is_being_typed_is_in_the_next_batchs_answers(
    next_one, plugin, press, rows, tmp_path
):
    program = tmp_path / "owl-geo"
    program.write_text("#!/bin/sh\nsleep 30\n")
    program.chmod(0o755)
    QgsSettings().setValue("owl_geo_labeler/executable", str(program))
    press("C")
    QTest.keyClicks(plugin.dock.comment, "a road")
    plugin.next_batch()
    assert rows(next_one.first)[1][3] == "a road"
    assert not plugin.dock.is_typing
    plugin.rounds.cancel()
    QTest.qWait(50)


@pytest.mark.parametrize("across", ["", "wide", "nan", "-1", "0"])
def test_a_damaged_setting_does_not_keep_batches_from_opening(across, plugin, batch, press, labels):
    QgsSettings().setValue("owl_geo_labeler/across", across)
    path = batch("binary")
    plugin.open(path)
    press("2")
    assert plugin._settings.across is None
    assert labels(path)[0] == "present"


# --- the panel's width ------------------------------------------------------------------------------


def test_long_words_do_not_widen_the_panel(plugin, batch, press, tmp_path, iface, still):
    folder = tmp_path / "a_folder_with_the_long_name_that_projects_have_2026-11-30_final_version_2"
    folder.mkdir()
    path = Path(shutil.move(batch("binary"), folder))
    connection = sqlite3.connect(path)
    for name in ("IsEmpty", "MinX", "MaxX", "MinY", "MaxY"):  # the R-tree's triggers name them
        connection.create_function(f"ST_{name}", 1, lambda _shape: 0)
    connection.execute("UPDATE batch SET land_cover = 'agricultural_land_with_natural_vegetation'")
    connection.commit()
    connection.close()
    plugin.open(path)
    QTest.qWait(50)
    area, footer = plugin.dock._area, plugin.dock.footer
    narrow = area.minimumWidth()
    assert area.widget().minimumSizeHint().width() <= narrow
    still()
    path.unlink()
    press("1")
    QTest.qWait(1200)
    assert str(path) in trouble(plugin).text()
    assert str(path) in trouble(plugin).toolTip().replace("\u200b", "")
    assert footer.minimumSizeHint().width() <= narrow
    assert plugin.dock.minimumSizeHint().width() <= narrow + 20
