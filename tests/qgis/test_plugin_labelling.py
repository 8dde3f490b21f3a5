"""Labelling in the real program: keys and clicks in, what landed on the disk read from outside."""

import shutil
import re

import pytest
from qgis.core import QgsProject
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtGui import QFontMetrics
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAction, QApplication, QCheckBox, QLabel, QLineEdit, QPushButton, QScrollArea, QSlider, QToolButton
from test_plugin_predictions import with_classes


@pytest.fixture
def opened(plugin, batch, iface):
    """Open a batch; returns its path."""

    def opened(name):
        path = batch(name)
        plugin.open(path)
        QTest.qWait(50)
        assert plugin.labelling is not None
        return path

    return opened


def child(plugin, kind, name):
    found = plugin.dock.findChild(kind, name)
    assert found is not None
    return found


def rank(plugin):
    return plugin.labelling.session.patch.rank


def test_digits_answer_and_each_answer_is_on_disk_at_once(opened, press, rows, plugin):
    path = opened("binary")
    for place, (key, label) in enumerate([("2", "present"), ("1", "absent"), ("U", "unsure"), ("S", "skip")]):
        press(key)
        row = rows(path)[place]
        assert row[:4] == [place + 1, label, "Ada", None]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row[4])
    assert rank(plugin) == 5
    assert [row[1] for row in rows(path)[4:]] == [None] * 5


def test_every_class_up_to_nine_has_a_key(opened, press, labels, expected):
    path = opened("many")
    classes = expected["many"]["classes"]
    press(*(str(i + 1) for i in range(len(classes))))
    assert labels(path)[: len(classes)] == classes
    press("9")
    assert labels(path)[len(classes)] is None


def test_buttons_answer(opened, plugin, labels):
    path = opened("quotes")
    button = child(plugin, QPushButton, "answer_no \"thing\"")
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert labels(path)[0] == 'no "thing"'
    assert rank(plugin) == 2


def test_arrows_move_and_ctrl_arrows_go_to_the_unanswered(opened, press, plugin):
    opened("binary")
    press("Right", "Right", "2", "Left", "Left", "Left")
    assert rank(plugin) == 1
    press("1", "1")
    assert rank(plugin) == 4
    press("Left")
    assert rank(plugin) == 3
    press("ctrl+Right")
    assert rank(plugin) == 4
    press("ctrl+Left")
    assert rank(plugin) == 9


def test_an_answer_comes_from_a_pressed_key_not_from_a_held_one(opened, iface, labels):
    from qgis.PyQt.QtCore import QCoreApplication, QEvent
    from qgis.PyQt.QtGui import QKeyEvent

    path = opened("binary")
    for repeats in (False, True, True):
        event = QKeyEvent(
            QEvent.Type.KeyPress, Qt.Key.Key_1, Qt.KeyboardModifiers(), "1", repeats
        )
        QCoreApplication.sendEvent(iface.canvas, event)
    assert labels(path)[:2] == ["absent", None]


def test_a_held_key_answers_once_even_if_qt_takes_it_for_many(opened, iface, labels):
    """On a slow X11, the release and the press of a repetition come apart; both have one time."""
    from qgis.PyQt.QtCore import QCoreApplication, QEvent
    from qgis.PyQt.QtGui import QKeyEvent

    path = opened("binary")
    press, release = QEvent.Type.KeyPress, QEvent.Type.KeyRelease
    for kind, time in (
        *((press, 1000), (release, 1500), (press, 1500), (release, 1530), (press, 1530)),
        *((release, 1600), (press, 1650), (release, 1700)),  # pressed again
    ):
        event = QKeyEvent(kind, Qt.Key.Key_1, Qt.KeyboardModifiers(), "1", False)
        event.setTimestamp(time)
        QCoreApplication.sendEvent(iface.canvas, event)
    assert labels(path)[:3] == ["absent", "absent", None]


KEYS_OF_OTHERS = {  # Qt's code, the code of the key, the virtual key; what they stand for
    "Cyrillic": ("xcb", (0x413, 30, 0x6C7), "unsure"),
    "Arabic": ("wayland", (0x633, 39, 0x5D3), "skip"),
    "Greek, on Windows": ("windows", (0x3A3, 31, 0x53), "skip"),
    "Persian digit": ("xcb", (0x6F2, 11, 0x10006F2), "present"),
    "another key": ("xcb", (0x416, 47, 0x6D6), None),
    "Latin, by its letter": ("xcb", (0x47, 30, 0x67), None),  # G of a Dvorak keyboard
    "Czech, without Shift": ("xcb", (0x11A, 11, 0x1EC), "present"),
    "Czech 1, which is +": ("wayland", (0x2B, 10, 0x2B), "absent"),
    "French, without Shift": ("xcb", (0xC9, 11, 0xE9), "present"),
    "French, on Windows": ("windows", (0xC9, 3, 0x32), "present"),
    "French 6, where two classes are": ("xcb", (0x2D, 15, 0x2D), None),
    "a letter of Czech, on macOS": ("cocoa", (0x11A, 11, 0x13), None),
}


@pytest.mark.parametrize("layout", KEYS_OF_OTHERS)
def test_keyboards_of_other_scripts_answer_by_the_same_keys(
    layout, opened, plugin, iface, labels, monkeypatch
):
    from types import SimpleNamespace

    from owl_geo_labeler import alphabets
    from qgis.PyQt.QtCore import QCoreApplication, QEvent
    from qgis.PyQt.QtGui import QKeyEvent

    platform, codes, label = KEYS_OF_OTHERS[layout]
    named = SimpleNamespace(platformName=lambda: platform)
    monkeypatch.setattr(alphabets, "QGuiApplication", named)
    path = opened("binary")
    context = plugin.labelling.map.context
    key, code, virtual = codes
    none = Qt.KeyboardModifiers()
    for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
        event = QKeyEvent(kind, key, none, code, virtual, 0, chr(key))
        QCoreApplication.sendEvent(iface.canvas, event)
    assert labels(path)[:2] == [label, None]
    is_wider = plugin.labelling.map.context > context
    assert is_wider is (chr(key) == "-")
    assert plugin.labelling.map.context >= context
    if label is None:
        return
    control = Qt.KeyboardModifier.ControlModifier  # on the key of Z
    event = QKeyEvent(QEvent.Type.KeyPress, 0x42F, control, 52, 0x5A, 0, "")
    QCoreApplication.sendEvent(iface.canvas, event)
    assert labels(path)[0] is None


def test_undo_takes_back_what_is_saved_and_redo_gives_it_again(opened, press, rows, plugin):
    path = opened("binary")
    press("1", "2")
    before = rows(path)
    press("ctrl+Z", "ctrl+Z")
    assert rows(path)[:2] == [[1, None, None, None, None], [2, None, None, None, None]]
    assert rank(plugin) == 1
    press("ctrl+shift+Z", "ctrl+shift+Z")
    assert rows(path) == before
    press("ctrl+Z", "1", "ctrl+shift+Z")
    assert [row[1] for row in rows(path)[:3]] == ["absent", "absent", None]


def test_ctrl_z_is_ours_although_qgis_has_one(opened, press, labels, iface):
    path = opened("binary")
    called = []
    action = QAction("Undo", iface.window)
    action.setShortcut("Ctrl+Z")
    action.triggered.connect(lambda: called.append(1))
    iface.window.addAction(action)
    press("1", "ctrl+Z")
    iface.window.removeAction(action)
    assert labels(path)[0] is None
    assert not called


def test_keys_do_not_fire_while_typing(opened, press, labels, plugin, iface):
    path = opened("binary")
    comment = child(plugin, QLineEdit, "comment")
    comment.setFocus()
    QTest.keyClicks(comment, "2 us")
    assert comment.text() == "2 us"
    elsewhere = QLineEdit(iface.window)
    elsewhere.show()
    elsewhere.setFocus()
    QTest.keyClicks(elsewhere, "12SU")
    assert elsewhere.text() == "12SU"
    elsewhere.deleteLater()
    assert labels(path) == [None] * 9


def test_keys_are_dead_once_the_dock_is_closed(opened, press, labels, plugin, iface):
    path = opened("binary")
    plugin.dock.hide()
    QTest.qWait(10)
    iface.canvas.setFocus()
    press("1")
    assert labels(path)[0] is None


def test_without_auto_advance_it_stays(opened, press, labels, plugin):
    path = opened("binary")
    child(plugin, QCheckBox, "auto_advance").click()
    press("1", "2")
    assert labels(path)[:2] == ["present", None]
    assert rank(plugin) == 1


def test_a_comment_is_saved_with_the_answer_and_alone(opened, press, rows, plugin, iface):
    path = opened("binary")
    comment = child(plugin, QLineEdit, "comment")
    comment.setFocus()
    QTest.keyClicks(comment, "by the river")
    press("Return")
    assert rows(path)[0][:4] == [1, None, None, "by the river"]
    press("2")
    assert rows(path)[0][:4] == [1, "present", "Ada", "by the river"]
    comment.setFocus()
    QTest.keyClicks(comment, "blurred")
    QTest.mouseClick(child(plugin, QPushButton, "answer_absent"), Qt.MouseButton.LeftButton)
    assert rows(path)[1][:4] == [2, "absent", "Ada", "blurred"]
    assert comment.text() == ""


def test_undo_takes_a_comment_back_that_is_still_being_typed(opened, rows, plugin):
    path = opened("binary")
    comment = child(plugin, QLineEdit, "comment")
    comment.setFocus()
    QTest.keyClicks(comment, "wrong")
    QTest.mouseClick(child(plugin, QToolButton, "undo"), Qt.MouseButton.LeftButton)
    QTest.keyClicks(comment, "by the river")
    comment.setFocus()
    QTest.mouseClick(child(plugin, QPushButton, "answer_absent"), Qt.MouseButton.LeftButton)
    assert rows(path)[0][:4] == [1, "absent", "Ada", "by the river"]


def test_going_to_a_patch_by_rank_and_by_id(opened, plugin, press, expected, messages):
    opened("binary")
    field = child(plugin, QLineEdit, "go_to")
    for text, wanted in (("7", 7), (expected["binary"]["patch_ids"][3], 4), ("32/96", 8)):
        field.setFocus()
        QTest.keyClicks(field, text)
        press("Return")
        assert rank(plugin) == wanted
    field.setFocus()
    QTest.keyClicks(field, "77")
    press("Return")
    assert rank(plugin) == 8
    assert any("has no patch 77" in text for text in messages())


def test_a_click_on_the_map_goes_to_the_patch(opened, plugin, iface, wait_until):
    opened("binary")
    child(plugin, QSlider, "context").setValue(6)
    wait_until(lambda: iface.canvas.extent().width() > 2000)
    layer = plugin.labelling.batch.layer
    feature = next(f for f in layer.getFeatures() if f["rank"] == 6)
    to_pixel = iface.canvas.getCoordinateTransform()
    at = to_pixel.transform(feature.geometry().centroid().asPoint())
    viewport = iface.canvas.viewport()
    QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=QPoint(int(at.x()), int(at.y())))
    assert rank(plugin) == 6


def test_the_patch_is_in_view_with_its_surroundings(opened, plugin, iface, press, wait_until):
    opened("degrees")
    for _ in range(3):
        press("Right")
        fid = plugin.labelling.session.patch.fid
        box = plugin.labelling.batch.features[fid].geometry().boundingBox()
        wait_until(lambda box=box: box.contains(iface.canvas.extent().center()))
        assert iface.canvas.extent().height() >= 3.5 * box.height()


def test_it_resumes_at_the_first_unanswered(opened, press, plugin):
    path = opened("binary")
    press("1", "Right", "2", "2")
    QgsProject.instance().clear()
    assert plugin.labelling is None
    plugin.open(path)
    assert rank(plugin) == 2
    assert plugin.labelling.session.n_answered == 3


def test_the_end_is_clear(opened, press, plugin, labels):
    path = opened("one")
    done = child(plugin, QLabel, "done")
    assert done.isHidden()
    press("2")
    assert labels(path) == ["present"]
    assert not done.isHidden()
    assert plugin.dock.progress.bar.value() == plugin.dock.progress.bar.maximum() == 1
    assert plugin.dock.footer.next_button.isEnabled()
    press("ctrl+Z")
    assert done.isHidden()
    assert not plugin.dock.footer.next_button.isEnabled()


def test_progress_counts_and_says_why(opened, press, plugin):
    opened("binary")
    press("1", "2", "2", "U")
    progress = plugin.dock.progress
    assert progress.bar.value() == 4
    for label, count in (("absent", 1), ("present", 2), ("unsure", 1), ("skip", 0)):
        button = child(plugin, QPushButton, f"answer_{label}")
        assert button.findChild(QLabel, "count").text() == str(count)
    assert "answers per hour" in progress.pace.text()
    why = child(plugin, QLabel, "why").text()
    assert "5 of 9" in why and "Land cover" in why and "forest" in why
    assert "no opinion yet" in why


@pytest.fixture
def themed():
    """Give QGIS a theme that sets its labels wider apart, as its dark ones do."""
    application = QApplication.instance()
    before = application.styleSheet()
    application.setStyleSheet("QLabel { margin: 3px; padding: 4px }")
    yield
    application.setStyleSheet(before)


def test_counts_are_whole_in_every_theme(themed, opened, press, plugin):
    opened("many")
    press("1")
    for label in plugin.labelling.session.labels:
        count = child(plugin, QPushButton, f"answer_{label}").findChild(QLabel, "count")
        assert count.contentsRect().width() >= count.fontMetrics().horizontalAdvance(count.text())
        assert count.sizeHint().width() <= count.width()


def test_long_names_of_classes_differ_where_there_is_little_room(plugin, batch, iface, press, labels):
    long = "landfill of the municipality, as in its land register & not licensed, {} of the river"
    names = ["absent", long.format("north"), long.format("south"), *"abcdef", "tenth"]
    path = with_classes(batch("binary"), names, names[1])
    plugin.open(path)
    iface.window.resizeDocks([plugin.dock], [1], Qt.Orientation.Horizontal)
    QTest.qWait(50)
    texts = []
    for name in names:
        button = child(plugin, QPushButton, f"answer_{name}")
        text = button.text().replace("&&", "&")
        bold = button.font()
        bold.setBold(True)
        count = button.findChild(QLabel, "count")
        end = count.mapTo(button, QPoint(0, 0)).x()
        assert QFontMetrics(bold).horizontalAdvance(text) + button.iconSize().width() < end
        texts.append(text)
    assert texts[0] == "1   absent" and texts[-1].endswith("   tenth")
    assert texts[1].startswith("2   landfill") and "…" in texts[1] and texts[2] != texts[1]
    press("3")
    assert labels(path)[0] == names[2]


def test_nothing_moves_while_labelling(opened, press, plugin, iface):
    opened("many")
    iface.window.resizeDocks([plugin.dock], [1], Qt.Orientation.Horizontal)  # as narrow as it goes
    QTest.qWait(50)
    moving = (*plugin.dock.findChildren(QPushButton), *plugin.dock.findChildren(QToolButton))
    moving = [one for one in (*moving, plugin.dock.comment) if one.isVisible()]
    assert len(moving) > 12

    def places():
        QTest.qWait(20)
        window = plugin.dock
        return [(w.objectName(), w.mapTo(window, QPoint(0, 0)), w.size()) for w in moving]

    # one that came with a longer list of reasons would push all to the left
    assert plugin.dock.findChild(QScrollArea).verticalScrollBar().isVisible()
    before = places()
    for key in "1223451167123456":
        press(key)
        if not plugin.labelling.session.is_done:
            assert places() == before


def test_the_file_is_whole_after_each_answer(opened, press, labels):
    path = opened("binary")
    copy = path.with_name("copy.gpkg")
    press("1", "2")
    labels(path)  # waits for them
    shutil.copy(path, copy)
    assert labels(copy)[:3] == ["absent", "present", None]
    beside = {entry.name for entry in path.parent.iterdir()} - {copy.name}
    assert beside == {path.name, f".{path.name}.open"}  # which tells another window


def test_a_dropped_batch_opens_and_other_files_are_left_to_qgis(plugin, batch, iface, tmp_path):
    other = tmp_path / "other.gpkg"
    other.write_bytes(b"no batch")
    handler = iface.drops[0]
    assert not handler.handleFileDrop(str(other))
    assert handler.handleFileDrop(str(batch("binary")))
    assert plugin.labelling.batch.batch_id == "run-001"


def test_five_thousand_patches(opened, press, labels, plugin):
    path = opened("large")
    press("1", "2", "ctrl+Z")
    assert labels(path)[:3] == ["absent", None, None]
    press("ctrl+Left")
    assert rank(plugin) == 5000


def test_unloading_leaves_nothing_behind(plugin, iface, batch):
    def its_actions():
        QTest.qWait(20)  # Qt deletes what deleteLater names when it comes back to its events
        return [action.text() for action in iface.window.findChildren(QAction)]

    loaded = its_actions()
    plugin.open(batch("binary"))
    plugin.unload()
    assert iface.menu == []
    assert iface.drops == []
    assert not any(text.startswith("Open batch") for text in its_actions())
    plugin.initGui()
    assert sorted(its_actions()) == sorted(loaded)
