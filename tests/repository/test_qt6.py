"""The plugin is ready for Qt 6, which QGIS 4 is built on: members of enums come with their enum.

A walk over the code, which needs neither QGIS nor Qt. tests/qgis/on_pyqt6.py runs it on PyQt6.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "qgis_plugin" / "owl_geo_labeler"
GONE = {"exec_", "print_", "QRegExp", "QDesktopWidget", "QTextCodec", "Qt.KeyboardModifiers"}
CAPITAL = re.compile(r"[A-Z]")


def qt6_problems(text: str) -> list[str]:
    """Return what Qt 6 would not know, with line numbers.

    Of a class that was imported from QGIS or Qt, a capital letter begins the name of an enum, and
    that is followed by the member: ``Qt.Key.Key_1``. Standing alone, it is either the enum itself,
    which the same text then names with a member, or a member that lacks its enum.
    """
    tree = ast.parse(text)
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis.")
        for alias in node.names
    }
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    inner = {id(node.value) for node in nodes}
    # classes within classes are called, and so are the flags of Qt 5, which Qt 6 lacks
    inner |= {
        id(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) not in GONE
    }
    of_class = [
        node
        for node in nodes
        if isinstance(node.value, ast.Name)
        and node.value.id in imported
        and CAPITAL.match(node.attr)
    ]
    # in annotations, and where an enum is given a short name
    said = {id(node) for one in ast.walk(tree) for node in _annotations(one)}
    enums = {ast.unparse(node) for node in of_class if id(node) in inner}
    found = [
        f"{node.lineno}: {ast.unparse(node)}"
        for node in of_class
        if id(node) not in inner | said and ast.unparse(node) not in {*enums, "Qt.Key"}
    ]
    found += [f"{node.lineno}: {node.attr}" for node in nodes if node.attr in GONE]
    found += [f"{node.lineno}: self.{node.attr}" for node in nodes if _of_instance(node)]
    return found + sorted(imported & GONE)


def _annotations(node: ast.AST) -> list[ast.AST]:
    said = [getattr(node, "annotation", None), getattr(node, "returns", None)]
    return [part for one in said if one is not None for part in ast.walk(one)]


def _of_instance(node: ast.Attribute) -> bool:
    """Whether a member is taken from an object, as in ``self.StyledPanel``."""
    is_word = re.match(r"[A-Z][a-z]+", node.attr) is not None
    return is_word and isinstance(node.value, ast.Name) and node.value.id == "self"


@pytest.mark.parametrize("path", sorted(PLUGIN.glob("*.py")), ids=lambda path: path.stem)
def test_members_are_named_with_their_enum(path: Path) -> None:
    assert qt6_problems(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "x = Qt.AlignLeft",
        "x = Qt.Key_N",
        "f(QEvent.KeyPress)",
        "if event.type() == QEvent.Resize: pass",
        "f(Qt.AlignLeft | Qt.AlignmentFlag.AlignTop)",
        "x = Qt.KeyboardModifiers()",
        "dialog.exec_()",
        "self.setFrameShape(self.NoFrame)",
        "from qgis.PyQt.QtCore import QRegExp",
    ],
)
def test_what_qt6_lacks_is_found(line: str) -> None:
    assert qt6_problems(f"from qgis.PyQt.QtCore import QEvent, Qt\n{line}") != []


def test_enums_themselves_and_their_members_are_fine() -> None:
    text = (
        "from qgis.PyQt.QtCore import Qt\n"
        "def f(key: Qt.Key, way: Qt.Orientation) -> Qt.PenStyle:\n"
        "    key = Qt.Key\n    return Qt.AlignmentFlag.AlignLeft, key.Key_N, dialog.exec()\n"
    )
    assert qt6_problems(text) == []
