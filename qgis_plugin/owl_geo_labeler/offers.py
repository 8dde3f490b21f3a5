"""What the analyst may do about a patch, offered in a message with a button."""

from __future__ import annotations

from typing import Callable

from .messages import Messages


class Offers:
    """The messages with a button that one sitting shows, one a patch at most."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._keys: set[str] = set()
        self._may_offer = True

    def make(self, fid: int, text: str, action: str, call: Callable[[], None]) -> None:
        """Say something of a patch, with a button that is there until ``take_back``."""
        if not self._may_offer:
            self._messages.warn(text)
            return
        key = f"patch {fid}"
        self._keys.add(key)
        self._messages.warn(text, key=key, action=action, call=call)

    def stop(self) -> None:
        """Say things without a button from now on: soon nobody will be there to do them."""
        self._may_offer = False

    def take_back(self) -> None:
        """Take the messages away."""
        for key in self._keys:
            self._messages.clear(key)
