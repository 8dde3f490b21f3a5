"""Trees that all patches walk down together, in a loop that Numba compiles.

scikit-learn lets one row after another walk down a tree, and each step waits for the one before.
Here some rows take the same step one after the other, so that the processor need not wait; a leaf
leads to itself until the last has arrived. The results are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.types import FloatArray
from owl_geo.work.loops import compiled

_TOGETHER = 64  # rows that walk together; their numbers fit the nearest cache


@dataclass(frozen=True)
class Trees:
    """The nodes of trees, one tree's behind another's."""

    roots: NDArray[np.uint32]  # (trees,)
    depths: NDArray[np.int64]  # (trees,), steps to the deepest leaf
    starts: NDArray[np.uint32]  # where the column of a node begins in a block of rows, (nodes,)
    thresholds: FloatArray  # (nodes,)
    children: NDArray[np.uint32]  # left and right, (nodes, 2); a leaf is its own child
    values: NDArray[np.float64]  # (nodes, classes)

    @classmethod
    def of(cls, trees: Sequence[Any]) -> Trees:
        """Return the trees of scikit-learn, whose rows are float32."""
        parts = [tree.tree_ for tree in trees]
        ends = np.cumsum([part.node_count for part in parts])
        roots = ends - [part.node_count for part in parts]
        children = [_children(part) + root for part, root in zip(parts, roots, strict=True)]
        exact = np.concatenate([part.threshold for part in parts])
        is_leaf = np.concatenate([part.children_left for part in parts]) < 0
        columns = np.where(is_leaf, 0, np.concatenate([part.feature for part in parts]))
        return cls(
            roots.astype(np.uint32),
            np.array([part.max_depth for part in parts], dtype=np.int64),
            (columns * _TOGETHER).astype(np.uint32),
            np.where(is_leaf, np.float32(np.inf), _not_above(exact)),
            np.concatenate(children).astype(np.uint32),
            np.concatenate([part.value[:, 0] for part in parts]),
        )

    def groups(self, rows: FloatArray, count: int) -> NDArray[np.float64]:
        """Return the mean of each of ``count`` groups of trees, ``(count, n, classes)``.

        ``rows`` are float32 ``(n, d)`` and finite; trees that lie behind one another are a group.
        """
        total = np.zeros((count, len(rows), self.values.shape[1]))
        _walk(
            *(rows, self.roots, self.depths, self.starts, self.thresholds),
            *(self.children, self.values, total),
        )
        total /= len(self.roots) // count
        return total


def _children(tree: Any) -> NDArray[np.int64]:
    own = np.arange(tree.node_count)
    sides = (tree.children_left, tree.children_right)
    return np.stack([np.where(side < 0, own, side) for side in sides], axis=1)


def _not_above(exact: NDArray[np.float64]) -> FloatArray:
    """Return the largest float32 that is not above each: what is above one is above the other."""
    near = exact.astype(np.float32)
    return np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)


# Numbers without a sign spare the processor a look at whether they are negative.
@compiled()
def _walk(
    rows: Any,
    roots: Any,
    depths: Any,
    starts: Any,
    thresholds: Any,
    children: Any,
    values: Any,
    total: Any,
) -> None:
    """Add up the values of each group's trees."""
    n, d = rows.shape
    of_a_group = len(roots) // len(total)
    at = np.empty(_TOGETHER, dtype=np.uint32)
    block = np.zeros((d, _TOGETHER), dtype=np.float32)
    flat = block.reshape(-1)
    for first in range(0, n, _TOGETHER):
        many = min(_TOGETHER, n - first)
        for i in range(many):
            for column in range(d):
                block[column, i] = rows[first + i, column]
        for tree in range(len(roots)):
            at[:] = roots[tree]
            for _ in range(depths[tree]):
                for i in range(_TOGETHER):
                    node = np.uint64(at[i])
                    value = flat[np.uint64(starts[node]) + np.uint64(i)]
                    at[i] = children[node, np.uint64(value > thresholds[node])]
            group = tree // of_a_group
            for i in range(many):
                for label in range(values.shape[1]):
                    total[group, first + i, label] += values[np.uint64(at[i]), label]
