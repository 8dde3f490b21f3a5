"""The state of labelling one batch: where the analyst is, what is answered, what can be undone.

No widgets, no files: every method that changes an answer returns the patch to save.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic
from typing import Callable

from . import schema
from .pace import Pace


@dataclass(frozen=True)
class Answer:
    """What the file holds for one patch; None for what is not filled in."""

    label: str | None = None
    annotator: str | None = None
    comment: str | None = None
    labelled_at: str | None = None  # UTC, schema.TIME_FORMAT

    def values(self) -> dict[str, str | None]:
        """Return the answer by column name."""
        return {name: getattr(self, name) for name in schema.EDITABLE_COLUMNS}


@dataclass(frozen=True)
class NewRow:
    """A row that a batch does not have yet, for a place beside it."""

    values: Mapping[str, object]  # by column, but for the answer
    wkb: bytes  # the polygon, in the batch's CRS


@dataclass
class Patch:
    """One patch of the batch. ``why`` holds its scores and concepts by column name.

    It may also lie ``beside`` the batch: a place that somebody noticed, or one of an older batch.
    """

    fid: int  # negative for what was added in this sitting
    patch_id: str
    rank: int  # 0 beside the batch
    scene: str
    scene_crs: str
    why: Mapping[str, object]
    answer: Answer = field(default_factory=Answer)
    beside: bool = False
    row: NewRow | None = None  # how it gets into the file, if it is not there yet
    older: Path | None = None  # the file of the older batch that it is in
    older_fid: int = -1  # its row there
    older_name: str = ""  # the id of that batch

    @property
    def is_noticed(self) -> bool:
        """Whether it is a place beside all batches that somebody has answered."""
        return self.beside and self.older is None and self.answer.label is not None


def _utc_now() -> str:
    return datetime.now(timezone.utc).strftime(schema.TIME_FORMAT)


class Session:
    """A walk through the patches in the order of their rank.

    There must be patches of the batch itself. ``current`` is an index into ``patches``, of which
    those beside the batch are the last. If the batch was partly labelled before, the session starts
    at the first patch without an answer.
    """

    def __init__(
        self,
        patches: Sequence[Patch],
        classes: Sequence[str],
        annotator: str,
        *,
        seconds: Callable[[], float] = monotonic,
        utc_now: Callable[[], str] = _utc_now,
    ) -> None:
        self.patches = sorted(patches, key=lambda patch: (patch.beside, patch.rank))
        self.n_asked = sum(not patch.beside for patch in patches)
        self.classes = tuple(classes)
        self.labels = (*self.classes, *schema.RESERVED_LABELS)
        self.annotator = annotator
        self.pace = Pace(seconds)
        self._utc_now = utc_now
        self._indices = {patch.fid: index for index, patch in enumerate(self.patches)}
        self._counted: Counter[str | None] | None = None  # labels of the batch; None: count again
        self._undo: list[tuple[int, Answer, Answer]] = []  # index, before, after
        self._redo: list[tuple[int, Answer, Answer]] = []
        first = self._unanswered(start=0, step=1)
        self.current = self._last_asked = 0 if first is None else first

    # --- where the analyst is ---------------------------------------------------------------------

    @property
    def patch(self) -> Patch:
        """The current patch."""
        return self.patches[self.current]

    def move(self, step: int) -> bool:
        """Go ``step`` patches forward or back; return whether there was one.

        From a place beside the batch, any step leads back to where the analyst came from.
        """
        if self.patch.beside:
            return self.go_back()
        index = self.current + step
        return index < self.n_asked and self.go_to(index)

    def go_to(self, index: int) -> bool:
        """Make the patch at this index the current one; return whether there is one."""
        if not 0 <= index < len(self.patches):
            return False
        self.current = index
        if index < self.n_asked:
            self._last_asked = index
        return True

    def go_back(self) -> bool:
        """Return from a place beside the batch to the patch that was shown before."""
        return self.go_to(self._last_asked)

    def add(self, patch: Patch) -> int:
        """Take in a place beside the batch, and return its index."""
        self.patches.append(patch)
        self._indices[patch.fid] = len(self.patches) - 1
        return len(self.patches) - 1

    def index_of(self, fid: int) -> int | None:
        """Return the index of the patch with this feature id; None if there is none."""
        return self._indices.get(fid)

    def move_to_unanswered(self, step: int = 1) -> bool:
        """Go to the next (``step`` 1) or previous (-1) unanswered patch, wrapping around."""
        index = self._unanswered(start=self._last_asked + step, step=step)
        return index is not None and self.go_to(index)

    def find(self, text: str) -> int | None:
        """Return the index of the patch with this rank or patch_id, or this end of its id."""
        text = text.strip()
        if not text:
            return None
        if text.isdecimal():  # not the ² beside the 1 of French keyboards
            found = (i for i, p in enumerate(self._asked) if p.rank == int(text))
            return next(found, None)
        exact = next((i for i, p in enumerate(self.patches) if p.patch_id == text), None)
        if exact is not None:
            return exact
        ends = [i for i, p in enumerate(self.patches) if p.patch_id.endswith(text)]
        return ends[0] if len(ends) == 1 else None

    def _unanswered(self, start: int, step: int) -> int | None:
        n = self.n_asked
        places = ((start + step * i) % n for i in range(n))
        return next((i for i in places if self.patches[i].answer.label is None), None)

    # --- answers ----------------------------------------------------------------------------------

    def answer(self, label: str, comment: str | None = None) -> Patch:
        """Answer the current patch, with the annotator's name and the time.

        Its comment stays, unless another one is given.
        """
        if label not in self.labels:
            raise ValueError(f"{label!r} is not a label of this batch")
        fresh = self.patch.answer.label is None
        comment = comment or self.patch.answer.comment
        self._change(self._stamped(replace(self.patch.answer, label=label, comment=comment)))
        if fresh:
            self.pace.count()
        return self.patch

    def comment(self, text: str) -> Patch | None:
        """Comment on the current patch; None if the comment has not changed."""
        comment = text.strip() or None
        before = self.patch.answer
        # another program may have left spaces around a comment, which a field shows as well
        if comment == ((before.comment or "").strip() or None):
            return None
        after = replace(before, comment=comment)
        # a new comment on an answered patch is a newer answer, with a newer time
        self._change(after if after.label is None else self._stamped(after))
        return self.patch

    def undo(self) -> Patch | None:
        """Undo the last change and go to its patch; None if there is nothing to undo."""
        if not self._undo:
            return None
        index, before, after = self._undo.pop()
        self._redo.append((index, before, after))
        if before.label is None and after.label is not None:
            self.pace.uncount()
        return self._put(index, before)

    def redo(self) -> Patch | None:
        """Redo the last undone change; None if there is none."""
        if not self._redo:
            return None
        index, before, after = self._redo.pop()
        self._undo.append((index, before, after))
        if before.label is None and after.label is not None:
            self.pace.count()
        return self._put(index, after)

    def correct(self, fid: int, answer: Answer) -> None:
        """Show the stored answer instead; changes to this patch can no longer be undone."""
        index = self._indices[fid]
        self._set(index, answer)
        self._undo = [change for change in self._undo if change[0] != index]
        self._redo = [change for change in self._redo if change[0] != index]

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to undo."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone change to redo."""
        return bool(self._redo)

    def _stamped(self, answer: Answer) -> Answer:
        return replace(answer, annotator=self.annotator, labelled_at=self._utc_now())

    def _change(self, after: Answer) -> None:
        self._undo.append((self.current, self.patch.answer, after))
        self._redo.clear()
        self._set(self.current, after)

    def _put(self, index: int, answer: Answer) -> Patch:
        self.go_to(index)
        self._set(index, answer)
        return self.patch

    def _set(self, index: int, answer: Answer) -> None:
        self.patches[index].answer = answer
        self._counted = None

    # --- how far it is ----------------------------------------------------------------------------

    @property
    def _asked(self) -> list[Patch]:
        """The patches of the batch itself."""
        return self.patches[: self.n_asked]

    @property
    def _given(self) -> Counter[str | None]:
        """How often each label was given; counted once per change, since a key asks many times."""
        if self._counted is None:
            self._counted = Counter([patch.answer.label for patch in self._asked])
        return self._counted

    def counts(self) -> dict[str, int]:
        """Return how many patches of the batch have each label, in the order of the buttons."""
        return {label: self._given[label] for label in self.labels}

    @property
    def n_answered(self) -> int:
        """Patches of the batch with an answer, unsure and skip included."""
        return self.n_asked - self._given[None]

    @property
    def n_noticed(self) -> int:
        """Places beside all batches with an answer."""
        return sum(patch.is_noticed for patch in self.patches[self.n_asked :])

    @property
    def n_left(self) -> int:
        """Patches of the batch without an answer."""
        return self.n_asked - self.n_answered

    @property
    def is_done(self) -> bool:
        """Whether every patch of the batch has an answer."""
        return self.n_left == 0
