"""The documentation builds strictly, its links lead somewhere, and no page asks the network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote, urlsplit

import click
import pytest
from browser import opened_browser

import owl_geo
from owl_geo.cli import cli
from owl_geo.schema import BATCH_COLUMNS_AFTER, BATCH_COLUMNS_BEFORE
from owl_geo.settings.config import Settings
from owl_geo.settings.sections import Section

ROOT = Path(__file__).parents[2]
LOADING = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src"}
LOADED_LINKS = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "manifest"}

# code that is wider than its box, or that reaches past the right edge of the window; tables scroll
CUT_OFF = """
[...document.querySelectorAll('article pre > code, article p > code, article li > code')]
  .filter((code) => (code.clientWidth > 0 && code.scrollWidth > code.clientWidth + 1)
    || (!code.closest('table') && code.getBoundingClientRect().right > innerWidth))
  .map((code) => code.textContent.slice(0, 80))
"""


@dataclass
class Page(HTMLParser):
    """What a page refers to, loads, and can be referred to by."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    without_alt: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and LOADED_LINKS & set(values.get("rel", "").split()):
            self.loads.append(values["href"])
        if values.get(LOADING.get(tag, "")):
            self.loads.append(values[LOADING[tag]])
        if tag == "img" and not values.get("alt"):
            self.without_alt.append(values.get("src", "")[:80])

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    found = {}
    for path in site.rglob("*.html"):
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        found[path] = page
    return found


def test_every_page_of_docs_is_there(pages: dict[Path, Page], site: Path) -> None:
    docs = ROOT / "docs"
    wanted = {p.relative_to(docs).with_suffix(".html") for p in docs.rglob("*.md")}
    assert wanted <= {path.relative_to(site) for path in pages}
    assert len(wanted) > 15


def test_every_link_anchor_and_image_inside_exists(pages: dict[Path, Page]) -> None:
    seen = 0
    for path, page in pages.items():
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or path.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{path.name}: {link}"
            if parts.fragment and target in pages:
                known = pages[target].anchors
                assert unquote(parts.fragment) in known, f"{path.name}: {link}"
            seen += 1
    assert seen > 200


def test_no_page_loads_anything_from_the_network(pages: dict[Path, Page], site: Path) -> None:
    for path, page in pages.items():
        outside = [place for place in page.loads if urlsplit(place).scheme in ("http", "https")]
        outside += [place for place in page.loads if place.startswith("//")]
        assert outside == [], path.name
        text = path.read_text(encoding="utf-8")
        assert 'data-md-component="source"' not in text  # asks GitHub how many stars there are
        assert 'class="mermaid"' not in text and "MathJax" not in text
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", text), path.name


def test_every_image_says_what_it_shows(pages: dict[Path, Page]) -> None:
    assert {path.name: page.without_alt for path, page in pages.items() if page.without_alt} == {}


def test_pages_lead_from_one_to_the_next(site: Path) -> None:
    text = (site / "tutorial.html").read_text(encoding="utf-8")
    assert re.findall(r'href="([^"]+)" class="md-footer__link', text) == [
        "index.html",
        "example.html",
    ]


@pytest.mark.parametrize("width", [400, 800, 1280])
def test_nothing_is_cut_off_at_the_right(
    pages: dict[Path, Page], tmp_path: Path, width: int
) -> None:
    with opened_browser(tmp_path) as browser:
        for path in pages:
            browser.open(path, width)
            assert browser.ask(CUT_OFF) == [], path.name
            assert browser.ask("document.documentElement.scrollWidth") <= width, path.name


def text_of(pages: dict[Path, Page], site: Path, name: str) -> str:
    return " ".join("".join(pages[site / name].text).split())


def test_the_command_reference_has_every_command_and_option(
    pages: dict[Path, Page], site: Path
) -> None:
    text = text_of(pages, site, "reference/commands.html")

    def check(group: click.Group, name: str) -> None:
        for command in group.commands.values():
            whole = f"{name} {command.name}"
            assert whole in text
            if isinstance(command, click.Group):
                check(command, whole)
                continue
            for parameter in command.params:
                if isinstance(parameter, click.Option) and not parameter.hidden:
                    assert all(option in text for option in parameter.opts), parameter.name

    check(cli, "owl-geo")


def test_the_commands_stand_in_the_order_of_a_search_and_common_options_once(
    pages: dict[Path, Page], site: Path
) -> None:
    html = (site / "reference/commands.html").read_text(encoding="utf-8")
    titles = re.findall(r'<h2 id="[^"]+">owl-geo (\w+)', html)
    assert list(dict.fromkeys(titles)) == [command.name for command in cli.commands.values()]
    for names in ("-v, --verbose", "-q, --quiet", "-h, --help", "--debug"):
        assert html.count(f"<code>{names}</code>") == 1, names


def test_no_default_reads_like_a_class(pages: dict[Path, Page], site: Path) -> None:
    html = (site / "reference/settings.html").read_text(encoding="utf-8")
    assert "<td>not set</td>" in html
    assert "<td>absent</td>" not in html and "absent = " not in html


def sections(annotation: Any = Settings) -> Iterator[type[Section]]:
    """Every table that may stand in owl.toml."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
        for field in annotation.model_fields.values():
            yield from sections(field.annotation)
    for inner in get_args(annotation):
        yield from sections(inner)


def test_the_settings_reference_has_every_setting(pages: dict[Path, Page], site: Path) -> None:
    text = text_of(pages, site, "reference/settings.html")
    for section in sections():
        for name, setting in section.model_fields.items():
            assert name in text
            if setting.description:
                assert " ".join(setting.description.split()) in text, name


def test_the_columns_reference_has_every_column(pages: dict[Path, Page], site: Path) -> None:
    text = text_of(pages, site, "reference/columns.html")
    assert all(name in text for name in (*BATCH_COLUMNS_BEFORE, *BATCH_COLUMNS_AFTER))


def test_the_python_reference_has_every_name(pages: dict[Path, Page], site: Path) -> None:
    page = pages[site / "reference/python.html"]
    for name in owl_geo.__all__:
        assert any(anchor.endswith(f".{name}") for anchor in page.anchors), name


def test_the_example_shows_what_the_notebook_says(pages: dict[Path, Page], site: Path) -> None:
    cells = json.loads((ROOT / "docs" / "example.ipynb").read_text(encoding="utf-8"))["cells"]
    text = text_of(pages, site, "example.html")
    for cell in cells:
        if cell["cell_type"] == "code":
            assert " ".join("".join(cell["source"]).split()) in text
    assert any(place.startswith("data:image/png") for place in pages[site / "example.html"].loads)
