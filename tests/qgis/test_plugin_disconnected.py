"""A run on a share that is disconnected: every click survives it, with one line that says why."""

import ast
import errno
import io
import os
import shutil
import sys
from pathlib import Path

import pytest
from qgis.core import QgsPointXY, QgsProject, QgsRasterLayer, QgsSettings
from qgis.PyQt.QtTest import QTest
from test_plugin_hindered import buttons

import owl_geo_labeler
from owl_geo_labeler.batch import open_batch
from owl_geo_labeler.errors import Problem
from owl_geo_labeler.settings import PluginSettings, program_at

PLUGIN = Path(owl_geo_labeler.__file__).parent
REASON = os.strerror(errno.EHOSTDOWN)


@pytest.fixture
def disconnect(monkeypatch):
    """Let Python find a folder unreachable, as where the computer that shares it is off."""

    def disconnect(folder):
        def refuse(call):
            def called(path=".", *arguments, **named):
                is_path = isinstance(path, (str, os.PathLike))
                if is_path and folder in (Path(path), *Path(path).parents):
                    raise OSError(errno.EHOSTDOWN, REASON, str(path))
                return call(path, *arguments, **named)

            return called

        for owner, name in (
            (os, "stat"),
            (os, "lstat"),
            (os, "scandir"),
            (os, "listdir"),
            (io, "open"),
        ):
            monkeypatch.setattr(owner, name, refuse(getattr(owner, name)))

    return disconnect


@pytest.fixture
def run(folder, tmp_path):
    run = Path(shutil.copytree(folder / "beside", tmp_path / "share" / "run"))
    (run / "predictions").mkdir()
    shutil.copy(folder / "views" / "old.tif", run / "predictions" / "probability.tif")
    return run


def newest(run):
    return run / "rounds" / "001" / "batch.gpkg"


CLICKS = {
    "open": lambda plugin, run: plugin.open(newest(run)),
    "open run": lambda plugin, run: plugin.open_run(run),
    "next": lambda plugin, run: plugin.next_batch(),
    "make": lambda plugin, run: plugin.rounds._ask_core(run, []),
    "more like this": lambda plugin, run: plugin.more_like(),
    "review": lambda plugin, run: plugin.review(),
    "review of a map": lambda plugin, run: plugin.review_run(run),
    "predictions": lambda plugin, run: plugin.show_predictions(),
    "switch": lambda plugin, run: plugin.switch_predictions(),
}


@pytest.mark.parametrize("click", CLICKS)
def test_a_click_says_why(click, plugin, run, messages, iface, disconnect):
    QgsSettings().setValue("owl_geo_labeler/executable", sys.executable)
    plugin.open(newest(run))
    labelling = plugin.labelling
    iface.bar.clearWidgets()
    disconnect(run.parent)
    CLICKS[click](plugin, run)
    (text,) = messages()
    assert str(run) in text and REASON in text
    assert plugin.labelling is labelling and plugin.rounds._work is None
    assert buttons(iface) == []


def test_what_nobody_asked_for_is_silent(plugin, run, messages, iface, disconnect):
    plugin.open(newest(run))
    iface.bar.clearWidgets()
    layer = QgsRasterLayer(str(run / "predictions" / "probability.tif"), "probability")
    disconnect(run.parent)
    plugin.rounds._foresee()
    plugin.rounds.prepare(plugin.labelling.run)
    assert not plugin._drop.handleFileDrop(str(newest(run)))
    QgsProject.instance().addMapLayer(layer)
    iface.setActiveLayer(layer)
    plugin._predictions_menu._on_triggered()
    assert messages() == [] and iface.entries == {}


def test_a_click_beside_the_batch_can_be_tried_again(
    plugin, run, messages, iface, disconnect, monkeypatch
):
    plugin.open(newest(run))
    iface.bar.clearWidgets()
    older = open_batch(run / "rounds" / "000" / "batch.gpkg")
    point = older.features[1].geometry().centroid().asPoint()
    disconnect(run.parent)
    plugin.labelling.notice(QgsPointXY(point))
    assert str(run) in plugin.dock.footer._note.text() and REASON in plugin.dock.footer._note.text()
    assert messages() == []
    monkeypatch.undo()
    plugin.labelling.notice(QgsPointXY(point))
    assert plugin.labelling.session.patch.beside


def test_answers_and_comments_are_kept(
    plugin, run, press, labels, messages, iface, disconnect, monkeypatch, wait_until
):
    plugin.open(newest(run))
    iface.bar.clearWidgets()
    disconnect(run.parent)
    press("2")
    plugin.dock.comment.setText("a road?")
    press("1", "Right", "Left")
    wait_until(lambda: plugin.labelling.store.trouble is not None)
    assert len(messages()) == 1
    monkeypatch.undo()
    wait_until(lambda: plugin.labelling.store.n_waiting == 0)
    assert labels(newest(run))[:3] == ["present", "absent", None]


def test_answers_go_home_where_the_share_stays_away(
    plugin, run, press, labels, messages, disconnect, home
):
    plugin.open(newest(run))
    disconnect(run.parent)
    press("2", "1")
    QgsProject.instance().clear()
    QTest.qWait(50)
    (rescued,) = home.glob("batch-answers-*.gpkg")
    assert labels(rescued)[:3] == ["present", "absent", None]
    assert sum(str(rescued) in text for text in messages()) == 1


def test_scenes_and_views_that_cannot_be_reached(
    plugin, folder, tmp_path, messages, disconnect, press
):
    """The batch lies elsewhere; its scene, its views and the files of another product do not."""
    share = Path(shutil.copytree(folder, tmp_path / "share"))
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(share / "views" / "batch.gpkg", run)
    (run / "owl.toml").write_text(
        f'[source]\nkind = "geotiff"\n[[source.scenes]]\nname = "scene"\npath = "{share}/scenes/west"\n'
    )
    disconnect(share)
    disconnect(folder)
    plugin.open(run / "batch.gpkg")
    assert plugin.labelling is not None
    assert sum("scene" in text for text in messages()) == 1
    press("V", "2", "Right")
    assert plugin.labelling.session.n_answered == 1


def test_the_program_lies_on_a_share(plugin, tmp_path, disconnect):
    program = tmp_path / "share" / "owl-geo"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    settings = PluginSettings()
    settings.chosen_executable = str(program)
    assert settings.executable == str(program)
    disconnect(program.parent)
    with pytest.raises(Problem, match=REASON):
        program_at(str(program))
    assert settings.executable == settings.found_executable


OURS = ("exists", "is_file", "is_dir", "entries")
TOUCHES = (*OURS, "glob", "rglob", "iterdir", "stat", "read_text", "unlink")


def guards(node):
    """Whether what stands in a with or a try may find the file system gone."""
    if isinstance(node, ast.With):
        calls = [item.context_expr for item in node.items]
        return any(isinstance(c, ast.Call) and ast.unparse(c.func) == "reading" for c in calls) or (
            any("suppress(OSError)" in ast.unparse(c) for c in calls)
        )
    if isinstance(node, ast.Try):
        return any(h.type is not None and "OSError" in ast.unparse(h.type) for h in node.handlers)
    return False


@pytest.mark.parametrize("path", sorted(PLUGIN.glob("*.py")), ids=lambda path: path.name)
def test_whatever_touches_the_file_system_expects_it_to_be_gone(path):
    def unguarded(node, is_safe):
        is_safe = is_safe or guards(node)
        if isinstance(node, ast.FunctionDef):
            is_safe = "raises OSError" in (ast.get_docstring(node) or "")
        if isinstance(node, ast.Call) and not is_safe:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in TOUCHES or (name == "open" and "rb" in ast.unparse(node)):
                yield f"{path.name}:{node.lineno}: {ast.unparse(node)}"
        for child in ast.iter_child_nodes(node):
            yield from unguarded(child, is_safe)

    assert list(unguarded(ast.parse(path.read_text(encoding="utf-8")), False)) == []


@pytest.mark.parametrize("path", sorted(PLUGIN.glob("*.py")), ids=lambda path: path.name)
def test_nobody_asks_pathlib_which_says_of_what_is_gone_that_it_never_was(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert [c.lineno for c in calls if isinstance(c, ast.Attribute) and c.attr in OURS] == []
