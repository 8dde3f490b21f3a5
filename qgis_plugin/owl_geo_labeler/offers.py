"""What the analyst may do about a patch, offered in a message with a button."""

from __future__ import annotations

from typing import Callable

from .messages import Messages


class Offers:
    """The messages with a button that one sitting shows, one a patch at most."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._offered: dict[int, bool] = {}  # patches, and whether it ends with their being shown
        self._may_offer = True

    def make(
        self, fid: int, text: str, action: str, call: Callable[[], None], while_shown: bool = False
    ) -> None:
        """Say something of a patch, with a button that is there until the patch is answered anew.

        ``while_shown`` is whether it means nothing any more once another patch is shown.
        """
        if not self._may_offer:
            self._messages.warn(text)
            return
        self._offered[fid] = while_shown
        self._messages.warn(text, key=_key(fid), action=action, call=call)

    def answered(self, fid: int) -> None:
        """Take the message on a patch away: its button would replace a newer answer."""
        if self._offered.pop(fid, None) is not None:
            self._messages.clear(_key(fid))

    def left(self, fid: int) -> None:
        """Take away what was of use only while a patch was shown."""
        if self._offered.get(fid):
            self.answered(fid)

    def stop(self) -> None:
        """Say things without a button from now on: soon nobody will be there to do them."""
        self._may_offer = False

    def take_back(self) -> None:
        """Take the messages away."""
        for fid in list(self._offered):
            self.answered(fid)


def _key(fid: int) -> str:
    return f"patch {fid}"
