"""A report as tests read it."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """What a page holds: its text, its elements, and its pictures by their alternative text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text, self.tags = "", []
        self.images: list[tuple[str, bytes]] = []
        self.headings: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        if re.fullmatch(r"h\d", tag):
            self.headings.append(tag)
        if tag == "img":
            kind, _, data = values["src"].partition(";base64,")
            assert kind.startswith("data:image/")
            self.images.append((values["alt"], base64.b64decode(data)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def picture(self, alt: str) -> bytes:
        (found,) = {data for text, data in self.images if text == alt}
        return found
