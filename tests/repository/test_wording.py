"""Numbers and the words behind them agree, wherever a message says how many there are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from owl_geo.wording import counted, plural

ROOT = Path(__file__).parents[2]
THINGS = (
    "answers annotators bands batches choices classes columns concepts features files folders "
    "images labels masks names patches people pixels places points problems ranks rounds rows "
    "scenes searches seeds settings sites targets tiles values views windows are have were lie"
)
BEHIND_A_NUMBER = re.compile(rf" (?:[a-z]+ )?(?:{'|'.join(THINGS.split())})\b")
# expressions that are never one where such a word follows, or whose text is not a number
NEVER_ONE = {
    "size",
    "size.pixels",
    "pixels",
    "width",
    "height",
    "windows",
    "first.height",
    "first.width",
    "count",
    "high",
    "learnt",
    "of",
    "len(rest)",
    "len(tiles)",
    "len(labels)",
    "len(matches)",
    "len(failed)",
    "len(windows)",
    "len(survey.scenes)",
    "len(band_names(path))",
    "now.left.n_audit",
    "now.quality.n",
    "outlook.n_recent",
    "FEW",
    "_DIMENSIONS",
    "_MOST_VECTORS",
    "labels.max() + 1",
    "variable.sizes[dim]",
    "off / abs(step)",
    "depth",
    "best",
    "len(index)",
    "_count(targets)",
    "_count(pool)",
    "row['n_labeled']",
    "_count(first['targets'])",
    "_count(first['pool'])",
    "_count(first['n_last'])",
    "left.prevalence.high",
    "_share(left.prevalence)",
    "int((~rows).sum())",
}
WORDS = {"positive", "column", "verb", "name", "path", "dim", "gone[0]", "self.vector", "WKT"}


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 patches"), (1, "1 patch"), (2, "2 patches"), (1000, "1000 patches")]
)
def test_a_noun_agrees_with_its_number(count: int, said: str) -> None:
    assert counted(count, "patch") == said


def test_words_that_are_not_regular_are_named() -> None:
    assert [plural(n, "is", "are") for n in (0, 1, 2)] == ["are", "is", "are"]
    assert [plural(2, one) for one in ("class", "batch", "site", "index")] == [
        "classes",
        "batches",
        "sites",
        "indexes",
    ]


def said(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what stands behind each value in the f-strings of a module that are no assertions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    internal = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in ("ValueError", "TypeError")
        for part in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and id(node) not in internal:
            for value, text in pairwise(node.values):
                if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                    yield ast.unparse(value.value), str(text.value)


def test_every_number_in_a_message_has_a_word_that_agrees() -> None:
    found = {
        (path.name, value, text)
        for path in sorted((ROOT / "owl_geo").rglob("*.py"))
        for value, text in said(path)
        if BEHIND_A_NUMBER.match(text)
        and value not in NEVER_ONE | WORDS
        and not value.startswith(("counted(", "plural(", "opt.quoted("))
    }
    assert not found
