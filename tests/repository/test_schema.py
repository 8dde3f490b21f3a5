"""The names that core and plugin share, and the copy that the plugin carries."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from owl_geo import schema

ROOT = Path(__file__).parents[2]


def test_the_plugin_carries_a_byte_identical_copy() -> None:
    core = (ROOT / "owl_geo" / "schema.py").read_bytes()
    assert (ROOT / "qgis_plugin" / "owl_geo_labeler" / "schema.py").read_bytes() == core


def test_it_needs_nothing_but_the_standard_library() -> None:
    tree = ast.parse((ROOT / "owl_geo" / "schema.py").read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= set(sys.stdlib_module_names)


def test_labels_have_colours_of_their_own_until_the_palette_ends() -> None:
    n = len(schema.CLASS_COLOURS)
    colours = schema.label_colours(tuple(f"class {i}" for i in range(n + 1)))
    assert len(colours) == n + 3
    assert len(set(colours.values())) == n + 2
    assert colours["class 0"] == colours[f"class {n}"]
