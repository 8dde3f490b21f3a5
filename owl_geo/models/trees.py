"""Trees of which every question is asked, in a loop that Numba compiles.

A row that walks down a tree has to wait at each node for where the last one has led. Here each node
asks many rows at once, whether or not they would come by: a row above the threshold does not end in
a leaf on the left of the node, and of the leaves that nothing has ruled out, the first is its own.
Leaves are bits of a word (QuickScorer, Lucchese et al. 2015, SIGIR; for many rows at once, Lucchese
et al. 2016). The results are scikit-learn's to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.types import FloatArray, IntArray
from owl_geo.work.loops import compiled

_ROWS = 64  # that are asked at once; their columns should fit a near cache
_LEAVES = 32  # in a word, which so is as wide as a feature and shares its lane in the processor
_QUESTIONS = 4  # about the same word at once, so that it is fetched and stored for each fourth
_ALL = np.uint32(2**_LEAVES - 1)
_EXPONENT, _BIAS = np.int32(23), np.int64(127)  # where float32 keeps its exponent, and of 1


@dataclass(frozen=True)
class Trees:
    """The questions about each word of leaves, and the words of each tree, one behind another."""

    starts: NDArray[np.uint64]  # where a question's column begins in a block of rows, (questions,)
    thresholds: FloatArray  # (questions,)
    left: NDArray[np.uint32]  # leaves that remain to rows above the threshold, (questions,)
    word_ends: NDArray[np.uint64]  # number of questions up to the last about each word, (words,)
    tree_ends: NDArray[np.uint64]  # number of words up to the last of each tree, (trees,)
    first_leaves: NDArray[np.int64]  # number of the first leaf of each word, (words,)
    values: NDArray[np.float64]  # (classes, leaves)

    @classmethod
    def of(cls, trees: Sequence[Any]) -> Trees:
        """Return the trees of scikit-learn, whose rows are float32."""
        parts = [_words_of(tree) for tree in trees]
        n_words = np.array([len(counts) for counts, *_ in parts])
        n_leaves = np.array([values.shape[1] for *_, values in parts])
        tree_ends = np.cumsum(n_words)
        of_tree = np.arange(tree_ends[-1]) - np.repeat(tree_ends - n_words, n_words)
        counts, starts, thresholds, left, values = zip(*parts, strict=True)
        return cls(
            np.concatenate(starts),
            np.concatenate(thresholds),
            np.concatenate(left),
            np.cumsum(np.concatenate(counts)).astype(np.uint64),
            tree_ends.astype(np.uint64),
            np.repeat(np.cumsum(n_leaves) - n_leaves, n_words) + of_tree * _LEAVES,
            np.concatenate(values, axis=1),
        )

    def groups(self, rows: FloatArray, count: int) -> NDArray[np.float64]:
        """Return the mean of each of ``count`` groups of trees, ``(count, n, classes)``.

        ``rows`` are float32 ``(n, d)`` and finite; trees that lie behind one another are a group.
        """
        mean = np.empty((count, len(rows), len(self.values)))
        _ask(
            *(rows, self.starts, self.thresholds, self.left, self.word_ends, self.tree_ends),
            *(self.first_leaves, self.values, mean),
        )
        return mean


_Words = tuple[IntArray, NDArray[np.uint64], FloatArray, NDArray[np.uint32], NDArray[np.float64]]


def _words_of(tree: Any) -> _Words:
    """Return how many questions there are about each word of a tree's leaves.

    And the questions' columns, thresholds and remaining leaves, and the leaves' values. A question
    about leaves of several words is asked about each.
    """
    # the nodes are numbered as a walk from left to right first comes to them, and so are the leaves
    is_leaf = tree.children_left < 0
    before = np.cumsum(is_leaf) - is_leaf
    nodes = np.flatnonzero(~is_leaf)
    first, end = before[tree.children_left[nodes]], before[tree.children_right[nodes]]
    first_word = first // _LEAVES
    times = (end - 1) // _LEAVES - first_word + 1
    which = np.repeat(np.arange(len(nodes)), times)
    word = first_word[which] + np.arange(len(which)) - np.repeat(np.cumsum(times) - times, times)
    lowest = np.maximum(first[which] - word * _LEAVES, 0)
    highest = np.minimum(end[which] - word * _LEAVES, _LEAVES)
    ruled_out = (1 << highest) - (1 << lowest)
    order = np.argsort(word, kind="stable")
    which, word = which[order], word[order]

    # questions that rule nothing out make up full handfuls
    asked = np.bincount(word, minlength=-(-np.count_nonzero(is_leaf) // _LEAVES))
    counts = -(-asked // _QUESTIONS) * _QUESTIONS
    shift = np.cumsum(counts - asked) - (counts - asked)
    at = np.arange(len(word)) + shift[word]
    starts = np.zeros(counts.sum(), dtype=np.uint64)
    thresholds = np.full(len(starts), np.inf, dtype=np.float32)
    left = np.full(len(starts), _ALL)
    starts[at] = tree.feature[nodes][which] * _ROWS
    thresholds[at] = _not_above(tree.threshold[nodes])[which]
    left[at] = _ALL ^ ruled_out[order].astype(np.uint32)
    return counts, starts, thresholds, left, tree.value[is_leaf, 0].T


def _not_above(exact: NDArray[np.float64]) -> FloatArray:
    """Return the largest float32 that is not above each: what is above one is above the other."""
    near = exact.astype(np.float32)
    return np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)


# Numbers without a sign spare the processor a look at whether they are negative.
@compiled()
def _ask(
    rows: Any,
    starts: Any,
    thresholds: Any,
    left: Any,
    word_ends: Any,
    tree_ends: Any,
    first_leaves: Any,
    values: Any,
    mean: Any,
) -> None:
    """Fill the mean of each group's trees."""
    n, d = rows.shape
    of_a_group = len(tree_ends) // len(mean)
    block = np.zeros(d * _ROWS, dtype=np.float32)
    word = np.empty(_ROWS, dtype=np.uint32)
    leaf = np.empty(_ROWS, dtype=np.int64)
    total = np.zeros((len(values), _ROWS))
    for start in range(0, n, _ROWS):
        many = min(_ROWS, n - start)
        for i in range(many):
            for column in range(d):
                block[column * _ROWS + i] = rows[start + i, column]
        number = question = np.uint64(0)
        for tree in range(len(tree_ends)):
            leaf[:] = -1
            while number < tree_ends[tree]:
                word[:] = _ALL
                while question < word_ends[number]:
                    _rule_out(block, starts, thresholds, left, question, word)
                    question += np.uint64(_QUESTIONS)
                _take_first(word, first_leaves[number], leaf)
                number += np.uint64(1)
            for label in range(len(values)):
                for i in range(_ROWS):
                    total[label, i] += values[label, leaf[i]]
            if (tree + 1) % of_a_group == 0:
                for label in range(len(values)):
                    for i in range(many):
                        mean[tree // of_a_group, start + i, label] = total[label, i] / of_a_group
                total[:] = 0


@compiled(inline="always")
def _rule_out(block: Any, starts: Any, thresholds: Any, left: Any, first: Any, word: Any) -> None:
    """Ask some questions of all rows of a block, and leave in their words what remains."""
    second, third, fourth = first + np.uint64(1), first + np.uint64(2), first + np.uint64(3)
    a, b = block[starts[first] :][:_ROWS], block[starts[second] :][:_ROWS]
    c, d = block[starts[third] :][:_ROWS], block[starts[fourth] :][:_ROWS]
    above_a, above_b = thresholds[first], thresholds[second]
    above_c, above_d = thresholds[third], thresholds[fourth]
    left_a, left_b, left_c, left_d = left[first], left[second], left[third], left[fourth]
    for i in range(_ROWS):
        remaining = word[i]
        remaining &= left_a if a[i] > above_a else _ALL
        remaining &= left_b if b[i] > above_b else _ALL
        remaining &= left_c if c[i] > above_c else _ALL
        remaining &= left_d if d[i] > above_d else _ALL
        word[i] = remaining


@compiled(inline="always")
def _take_first(word: Any, first_leaf: Any, leaf: Any) -> None:
    """Note the first remaining leaf of each row that has none yet."""
    for i in range(_ROWS):
        lowest = word[i] & (~word[i] + np.uint32(1))
        # a power of two, of which float32 keeps the exponent alone
        bit = np.int64(np.float32(lowest).view(np.int32) >> _EXPONENT) - _BIAS
        leaf[i] = first_leaf + bit if (leaf[i] < 0) & (word[i] != 0) else leaf[i]
