"""Rows that are deleted while a batch is labelled: the other answers go on being written."""

import os
import shutil
from pathlib import Path

import pytest
from qgis.core import QgsProject
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QLabel
from test_plugin_faults import lock, press_button

from owl_geo_labeler.batch import open_batch
from owl_geo_labeler.batch_rows import GdalFailure, opened
from owl_geo_labeler.batch_writer import BatchWriter, Write
from owl_geo_labeler.file_store import FileStore
from owl_geo_labeler.session import Answer


def delete(layer, rank):
    """Delete a row as a user does, in QGIS's attribute table."""
    (feature,) = [one for one in layer.getFeatures() if one["rank"] == rank]
    assert layer.startEditing() and layer.deleteFeature(feature.id()) and layer.commitChanges()


def delete_from_outside(path, rank):
    delete(open_batch(Path(path)).layer, rank)


def gone(messages):
    return [text for text in messages() if "was deleted from" in text]


def is_done(plugin):
    return not plugin.dock.findChild(QLabel, "done").isHidden()


def test_the_answers_to_other_rows_are_written(plugin, batch, press, rows, messages, wait_until):
    path = batch("binary")
    plugin.open(path)
    delete(plugin.labelling.batch.layer, 2)
    press("2", "1", "2", "U")
    wait_until(lambda: plugin.labelling.store.n_waiting == 0)
    assert [row[:2] for row in rows(path)[:4]] == [
        [1, "present"],
        [3, "present"],
        [4, "unsure"],
        [5, None],
    ]
    assert plugin.labelling.store.trouble is None
    (text,) = gone(messages)
    patch = plugin.labelling.session.patches[1].patch_id
    assert str(path) in text and patch in text and "absent" in text
    QgsProject.instance().clear()
    QTest.qWait(50)
    assert len(gone(messages)) == 1 and not list(path.parent.glob("*-answers-*"))


def test_not_all_is_saved_once_an_answer_has_no_row(plugin, batch, press, wait_until):
    path = batch("one")
    plugin.open(path)
    delete(plugin.labelling.batch.layer, 1)
    press("2")
    wait_until(lambda: plugin.labelling.store.n_waiting == 0)
    QTest.qWait(50)
    assert plugin.labelling.session.is_done and not is_done(plugin)
    assert plugin.dock.footer.next_button.isEnabled()


def test_taking_an_answer_back_whose_row_has_gone_loses_nothing(
    plugin, batch, press, messages, wait_until
):
    path = batch("one")
    plugin.open(path)
    press("2")
    wait_until(lambda: plugin.labelling.store.n_waiting == 0 and is_done(plugin))
    delete(plugin.labelling.batch.layer, 1)
    press("ctrl+Z")
    wait_until(lambda: plugin.labelling.store.n_waiting == 0)
    assert gone(messages) == []
    press("1")
    wait_until(lambda: gone(messages) != [])


def test_a_row_of_an_older_batch_that_was_deleted_is_said_of_that_batch(
    plugin, folder, tmp_path, press, messages, wait_until
):
    run = shutil.copytree(folder / "beside", tmp_path / "run")
    older = run / "rounds" / "000" / "batch.gpkg"
    plugin.open(older)
    press("2")
    wait_until(lambda: plugin.labelling.store.n_waiting == 0)
    plugin.open(run / "rounds" / "001" / "batch.gpkg")
    labelling = plugin.labelling
    geometry = open_batch(older).features[1].geometry()
    labelling.notice(geometry.centroid().asPoint())
    assert labelling.session.patch.older == older
    delete_from_outside(older, 1)
    press("1")
    wait_until(lambda: gone(messages) != [])
    assert str(older) in gone(messages)[0]
    press("2")
    wait_until(lambda: all(store.n_waiting == 0 for store in labelling.stores.all))


def test_an_answer_that_waits_for_a_lock_and_a_row_that_goes_meanwhile(
    plugin, batch, press, labels, messages, wait_until
):
    path = batch("binary")
    plugin.open(path)
    patch = plugin.labelling.session.patches[0].patch_id
    process = lock(path, 30)
    press("2", "1")
    plugin.open(batch("quotes"))
    (store,) = plugin._lingering._stores
    store._writer._put = hold_back  # until the row has gone, too
    process.kill()
    process.wait()
    delete_from_outside(path, 1)
    del store._writer._put
    wait_until(lambda: plugin._lingering._stores == [])
    assert labels(path)[:2] == ["absent", None]
    (text,) = gone(messages)
    assert str(path) in text and patch in text and "present" in text
    assert not any("all answers are saved" in text for text in messages())


def hold_back(_file, _write):
    raise GdalFailure("database is locked")


@pytest.mark.parametrize("how", ["row", "rows"])
def test_a_batch_that_is_opened_again_without_the_row_of_an_answer_that_waits(
    how, plugin, batch, press, labels, messages, wait_until
):
    path = batch("binary")
    plugin.open(path)
    ids = [patch.patch_id for patch in plugin.labelling.session.patches]
    process = lock(path, 30)
    press("2", "1")
    plugin.open(batch("quotes"))
    (store,) = plugin._lingering._stores
    store._writer._put = hold_back
    process.kill()
    process.wait()
    delete_from_outside(path, 1)
    if how == "rows":
        delete_from_outside(path, 2)
    plugin.open(path)
    wait_until(lambda: plugin.labelling.store.n_waiting == 0)
    texts = gone(messages)
    assert len(texts) == (1 if how == "row" else 2)
    assert ids[0] in texts[-1] and "present" in texts[-1] and str(path) in texts[-1]
    assert labels(path)[0] == ("absent" if how == "row" else None)


def test_a_row_that_cannot_be_read_for_a_lock_has_not_gone(batch):
    """GDAL says of both that there is no feature."""
    path = batch("binary")
    writer = BatchWriter(path, lambda: None)
    fid = open_batch(path).patches[0].fid
    write = Write(fid, Answer("present", "Ada"), Answer(), fid, "scene/0/0")
    with opened(path, 1) as file:
        process = lock(path, 30)
        with pytest.raises(GdalFailure, match="locked|busy"):
            writer._put(file, write)
        process.kill()
        process.wait()
    with opened(path, 1) as file:  # anew, as the writer does: GDAL 3.10 remembers no column there
        assert writer._put(file, write).trouble is None


def test_a_row_that_has_gone_is_in_the_file_that_takes_all_answers(
    still, plugin, batch, press, labels, wait_until
):
    path = batch("binary")
    plugin.open(path)
    delete(plugin.labelling.batch.layer, 1)
    press("2", "1")
    wait_until(lambda: plugin.labelling.store.n_waiting == 0)
    still()
    path.unlink()
    QgsProject.instance().clear()
    (rescued,) = path.parent.glob("binary-answers-*.gpkg")
    assert labels(rescued)[:3] == ["present", "absent", None]


def test_a_store_tells_of_each_answer_once(batch, wait_until):
    opened = open_batch(batch("binary"))
    store = FileStore(opened)
    told = []
    store.gone.connect(told.append)
    patch = opened.patches[0]
    delete(opened.layer, 1)
    for label in ("present", "absent"):
        patch.answer = Answer(label, "Ada")
        store.write(patch)
    wait_until(lambda: store.n_waiting == 0)
    assert [patch.patch_id in text for text in told] == [True, True]
    assert [text.split()[-1] for text in told] == ["present", "absent"]
    assert store.n_lost == 1
    assert store.close()


def test_a_new_file_that_lacks_the_row_of_an_answer(
    still, plugin, batch, press, labels, messages, iface, wait_until
):
    path = batch("binary")
    other = shutil.copy(path, path.with_name("other.gpkg"))
    delete_from_outside(other, 1)
    plugin.open(path)
    patch = plugin.labelling.session.patch.patch_id
    still()
    os.replace(other, path)
    press("2", "1")
    wait_until(lambda: any("was replaced" in text for text in messages()))
    press_button(iface, "Open the new file")
    wait_until(lambda: plugin.labelling is not None)
    assert labels(path)[:2] == ["absent", None]
    (text,) = gone(messages)
    assert patch in text and str(path) in text and "present" in text
