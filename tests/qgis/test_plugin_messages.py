"""Messages that stay: each goes once what it says is over, or the sitting that it belongs to."""

import os
import shutil

import pytest
from qgis.core import QgsProject, QgsSettings
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QPushButton
from test_plugin_beside import Window

from owl_geo_labeler import rescue as rescues
from owl_geo_labeler.errors import Problem


def end_sitting(plugin):
    QgsProject.instance().removeMapLayer(plugin.labelling.batch.layer.id())
    assert plugin.labelling is None


@pytest.fixture
def messages(iface):
    """What stays in the message bar, once what was taken away has gone."""

    def messages():
        QTest.qWait(20)
        return [item.text() for item in iface.bar.items() if not item.duration()]

    return messages


@pytest.fixture
def read_only(plugin, batch, messages):
    """A batch that could not be opened, as it is read-only."""
    path = batch("binary")
    path.chmod(0o444)
    if os.access(path, os.W_OK):
        pytest.skip("to this user nothing is read-only")
    plugin.open(path)
    (text,) = messages()
    assert "is read-only" in text
    return path


def test_why_a_batch_does_not_open_goes_once_it_does(read_only, plugin, messages):
    plugin.open(read_only)
    assert len(messages()) == 1  # the same again, not twice
    read_only.chmod(0o644)
    plugin.open(read_only)
    assert messages() == []


def test_why_a_batch_does_not_open_goes_once_another_does(read_only, plugin, batch, messages):
    plugin.open(batch("quotes"))
    assert messages() == []


def test_why_a_batch_does_not_open_goes_with_the_sitting(plugin, batch, messages, tmp_path):
    plugin.open(batch("quotes"))
    plugin.open(tmp_path / "none.gpkg")
    assert len(messages()) == 1 and plugin.labelling is not None
    end_sitting(plugin)
    assert messages() == []


def test_offers_to_make_a_batch_go_once_one_is_open(plugin, tmp_path, batch, messages, iface):
    run = tmp_path / "run"
    run.mkdir()
    (run / "owl.toml").write_text('classes = ["absent", "present"]\n')
    plugin.open_run(run)
    plugin.open_run(run)
    assert len(messages()) == 1
    assert len([b for b in iface.bar.findChildren(QPushButton) if "Make the" in b.text()]) == 1
    plugin.open(batch("binary"))
    assert messages() == []


def test_why_there_are_no_maps_goes(plugin, tmp_path, folder, messages):
    run = tmp_path / "run"
    shutil.copytree(folder / "beside", run)
    plugin.open_run(run)
    for _ in range(2):
        plugin.show_predictions()
        (text,) = messages()
        assert "is missing; make it with owl-geo predict" in text
    end_sitting(plugin)
    assert messages() == []


@pytest.mark.parametrize("how", ["end", "another"])
def test_why_there_is_no_next_batch_goes_with_the_sitting(
    how, plugin, tmp_path, folder, batch, messages, press
):
    QgsSettings().setValue("owl_geo_labeler/executable", str(tmp_path / "none"))
    run = tmp_path / "run"
    shutil.copytree(folder / "beside", run)
    plugin.open_run(run)
    press("1")
    (run / "owl.toml").write_text("this is no TOML\n")
    plugin.next_batch()
    assert len(messages()) == 1
    if how == "end":
        end_sitting(plugin)
    else:
        plugin.open(batch("binary"))
    assert messages() == []


def test_an_offer_to_leave_the_batch_goes_with_it(plugin, tmp_path, folder, messages, press):
    run = tmp_path / "run"
    shutil.copytree(folder / "beside", run)
    plugin.open_run(run)
    press("R")
    assert "the newest batch has no answers yet" in messages()[0]
    end_sitting(plugin)
    assert messages() == []


def test_an_offer_to_replace_an_answer_goes_with_a_newer_one(
    plugin, batch, press, labels, messages
):
    path = batch("binary")
    plugin.open(path)
    other = Window(path, "Grace")
    for store in (plugin.labelling.store, other.store):
        store._watch.stop()
    other.answer("present")
    press("1")
    assert labels(path)[0] == "present" and "both answers are kept" in messages()[0]
    press("Left", "U")  # having seen what Grace said
    assert labels(path)[0] == "unsure"
    assert messages() == []  # its button would replace that, unseen
    other.store.close()


def test_what_could_be_saved_nowhere_is_said_until_it_is(
    plugin, batch, press, labels, messages, wait_until, monkeypatch
):
    path = batch("binary")
    plugin.open(path)
    away = path.with_name("away.gpkg")
    path.rename(away)
    press("2")

    def refuse(place, *_arguments):
        raise Problem(f"{place} cannot be written: no space left on device")

    with monkeypatch.context() as full:
        full.setattr(rescues, "save_answers", refuse)
        end_sitting(plugin)
    (text,) = messages()
    assert "no space left on device" in text
    away.rename(path)
    wait_until(lambda: labels(path)[0] == "present")
    wait_until(lambda: not plugin._lingering._stores)
    assert messages() == []


def test_of_a_trouble_that_comes_again_nothing_says_that_it_is_over(
    plugin, batch, press, iface, wait_until
):
    path = batch("binary")
    plugin.open(path)

    def said():
        QTest.qWait(20)
        return [item.text() for item in iface.bar.items() if str(path) in item.text() or "again" in item.text()]

    for _ in range(2):
        path.chmod(0o444)
        if os.access(path, os.W_OK):
            pytest.skip("to this user nothing is read-only")
        press("1")
        wait_until(lambda: len(said()) == 1 and "cannot be saved in" in said()[0])
        path.chmod(0o644)
        wait_until(lambda: said() == ["the batch can be written again; all answers are saved"])
    path.chmod(0o444)
    press("1")
    wait_until(lambda: plugin.labelling.store.trouble is not None)
    assert len(said()) == 1 and "cannot be saved in" in said()[0]
    path.chmod(0o644)
    wait_until(lambda: plugin.labelling.store.n_waiting == 0)


def test_nothing_that_waits_for_somebody_is_left_by_the_plugin(plugin, tmp_path, messages):
    plugin.open(tmp_path / "none.gpkg")
    assert len(messages()) == 1
    plugin._messages.close()
    QTest.qWait(20)
    assert messages() == []


def test_a_long_message_can_be_read(plugin, iface):
    """QGIS shows two lines of it: the pointer shows all, for as long as it takes to read them."""
    long = "a scene <changed> since the run was made; " * 12
    plugin._messages.note(long)
    plugin._messages.note("short")
    shown, brief = sorted(iface.bar.items(), key=lambda item: -len(item.text()))
    assert "&lt;changed&gt;" in shown.toolTip() and shown.toolTip().count("since") == 12
    assert shown.duration() > 2 * brief.duration() > 0
