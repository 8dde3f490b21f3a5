"""The report in a real browser: nothing is missing, nothing overflows, and it prints."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, browser_program, opened_browser
from corners import write_scenes
from searches import label, make

import owl_geo

WIDTHS = (320, 400, 768, 1200)

# the least contrast of any text with what lies behind it, by WCAG 2.1's formula
CONTRAST = """
(() => {
  const light = (text) => {
    const [r, g, b] = text.match(/[0-9.]+/g).map(Number).slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  let least = 21;
  for (const element of document.querySelectorAll('body *')) {
    const texts = [...element.childNodes].filter((n) => n.nodeType === 3 && n.data.trim());
    if (texts.length === 0) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
    least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return least;
})()
"""

# what reaches past the right edge of the window
TOO_WIDE = """
[...document.querySelectorAll('body *')]
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
  .map((element) => element.outerHTML.slice(0, 80))
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> dict[str, Path]:
    """A report with all that there is, long names included, and one of a run that has nothing."""
    browser_program()
    folder = tmp_path_factory.mktemp("runs")
    classes = ("absent", "unlicensed-" + "mine" * 12, "<b>&amp;</b>")
    scenes = write_scenes(folder / "scenes", ("a" * 60, "b"))
    run = owl_geo.init(
        folder / "full",
        {
            "source": {"kind": "geotiff", "patch_size": 8, "scenes": scenes},
            "views": {"before" * 6: {"scenes": scenes[:1]}, "b": {"scenes": scenes[1:]}},
            "classes": classes,
            "positive": classes[1],
            "loop": {"initial": 12, "batch_size": 6},
            "team": {"annotators": ["ana", "b" * 40], "overlap": 1.0},
        },
    ).run
    for number in range(2):
        entry = owl_geo.query(run, device="cpu")
        for who, path in run.batch_paths(entry).items():
            said = {p: classes[i % 3] for i, p in enumerate(entry.patch_ids)}
            said[entry.patch_ids[number]] = "unsure" if who == "ana" else "skip"
            label(path, said, who)
        owl_geo.ingest(run, list(run.batch_paths(entry).values()), annotator="x")
    nothing = make(folder / "nothing")
    return {"full": owl_geo.report(run), "nothing": owl_geo.report(nothing)}


@pytest.fixture(scope="module")
def browser(reports, tmp_path_factory) -> Iterator[Browser]:
    with opened_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(params=["full", "nothing"])
def report(request, reports) -> Path:
    return reports[request.param]


def test_it_shows_without_errors_and_without_a_network(browser: Browser, report: Path) -> None:
    browser.open(report)
    assert browser.ask("document.querySelector('h1').textContent") == browser.ask("document.title")
    assert browser.complaints() == []
    assert browser.requests() == [report.resolve().as_uri()]
    assert browser.ask("document.documentElement.lang") == "en"


def test_every_picture_is_there(browser: Browser, report: Path) -> None:
    browser.open(report)
    sizes = browser.ask(
        "Promise.all([...document.images].map(async (one) => {"
        " await one.decode(); return [one.naturalWidth, one.alt] }))"
    )
    assert len(sizes) == report.read_text(encoding="utf-8").count("<img ") > 0
    assert all(width > 0 and alt for width, alt in sizes)


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window(browser: Browser, report: Path, width: int) -> None:
    browser.open(report, width)
    browser.ask("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask(TOO_WIDE) == []


def test_text_stands_out_from_what_is_behind_it(browser: Browser, report: Path) -> None:
    browser.open(report)
    assert browser.ask(CONTRAST) >= 7  # AAA


def test_it_prints_on_a4_with_the_numbers_that_are_folded_away_and_without_owl_toml(
    browser: Browser, reports
) -> None:
    browser.open(reports["full"])
    printed = browser.pdf()
    assert printed.startswith(b"%PDF")
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", printed)
    assert 3 <= len(boxes) <= 12
    assert {(round(float(w)), round(float(h))) for w, h in boxes} == {(595, 842)}
    browser.call("Emulation.setEmulatedMedia", media="print")
    heights = [
        browser.ask(f"document.querySelector('details {what}').getBoundingClientRect().height")
        for what in ("table", "pre")
    ]
    browser.call("Emulation.setEmulatedMedia", media="")
    assert heights[0] > 0 and heights[1] == 0


def test_a_script_in_it_would_not_run(browser: Browser, reports, tmp_path) -> None:
    text = reports["nothing"].read_text(encoding="utf-8")
    forged = tmp_path / "forged.html"
    forged.write_text(text.replace("</main>", "<script>document.title = 'x'</script></main>"))
    browser.open(forged)
    assert browser.ask("document.title") != "x"
    assert any("Content Security Policy" in said for said in browser.complaints())


def test_pictures_can_be_kept_for_a_look(browser: Browser, reports) -> None:
    """OWL_BROWSER_PICTURES names a folder for them."""
    folder = os.environ.get("OWL_BROWSER_PICTURES")
    for width in (1200, 400):
        browser.open(reports["full"], width)
        picture = browser.screenshot()
        assert picture.startswith(b"\x89PNG")
        if folder:
            (Path(folder) / f"report-{width}.png").write_bytes(picture)
