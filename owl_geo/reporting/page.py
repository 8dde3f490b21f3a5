"""The frame of the report: one self-contained HTML file, for screen, phone and paper."""

from __future__ import annotations

from owl_geo.reporting.markup import Markup, image, joined, tag

# No scripts and no external content, even if something got past the escaping.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; background: #fff; color: #1a1a1a;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; padding-top: .5rem;
  border-top: 2px solid #0072b2; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .5rem; }
p { margin: .5rem 0; max-width: 46rem; }
.note { color: #4d4d4d; font-size: .9em; }
.next { border-left: .35rem solid #0072b2; background: #eef5fa; padding: .6rem .9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; margin: .8rem 0; }
dt { font-weight: 600; }
dd { margin: 0; white-space: pre-line; }
img { max-width: 100%; height: auto; }
figure { margin: 1rem 0; break-inside: avoid; }
figcaption { font-size: .9em; color: #4d4d4d; }
.map img { max-height: 46rem; width: auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  gap: 1rem; align-items: start; }
.pair figure { margin: 0; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(13.5rem, 1fr));
  gap: 1rem; padding: 0; margin: .8rem 0; list-style: none; }
.gallery li { border: 1px solid #8a8a8a; border-radius: 4px; padding: .5rem; break-inside: avoid;
  font-size: .85rem; line-height: 1.4; }
.chips { display: flex; gap: .4rem; }
.chips img { flex: 1 1 0; min-width: 0; width: 100%; aspect-ratio: 1; object-fit: contain;
  max-width: 9rem;  image-rendering: pixelated; background: #d9d9d9; }
.captioned { flex-wrap: wrap; }
.captioned figure { flex: 0 1 calc(50% - .2rem); max-width: 9rem; margin: 0; }
.captioned img { display: block; outline: 1px solid #d9d9d9; }
.captioned figcaption { line-height: 1.3; }
.nothing { aspect-ratio: 1; display: flex; align-items: center; justify-content: center;
  border: 1px dashed #8a8a8a; color: #4d4d4d; text-align: center; }
.what { font-weight: 600; margin: .4rem 0 0; }
.small { margin: .15rem 0 0; }
table { border-collapse: collapse; margin: .8rem 0; font-size: .92rem; max-width: 100%; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0;
  border-bottom: 1px solid #c4c4c4; font-variant-numeric: tabular-nums; }
tbody th { font-weight: 500; }
thead th { border-bottom: 2px solid #4d4d4d; }
.number { text-align: right; white-space: nowrap; }
.whole { white-space: nowrap; }
.bar { display: inline-block; height: .7em; background: #0072b2; margin-right: .4em;
  min-width: 1px; print-color-adjust: exact; }
details { margin: 1rem 0; }
summary { cursor: pointer; font-weight: 600; }
pre { white-space: pre-wrap; font: .82rem/1.4 ui-monospace, "DejaVu Sans Mono", monospace;
  background: #f4f4f4; padding: .8rem; border-radius: 4px; }
footer { margin-top: 2.5rem; border-top: 1px solid #8a8a8a; padding-top: .5rem; }
@media (max-width: 38rem) {
  body { font-size: 15px; padding: .75rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
  .gallery { grid-template-columns: 1fr 1fr; gap: .6rem; }
  table, tbody, tr, th, td, caption { display: block; }
  thead { position: absolute; clip-path: inset(50%); height: 1px; width: 1px; overflow: hidden; }
  tbody tr { display: flex; flex-wrap: wrap; gap: 0 .9rem; padding: .35rem 0;
    border-bottom: 1px solid #8a8a8a; }
  th, td { border: 0; padding: 0; }
  .number { text-align: left; }
  td[data-name]::before { content: attr(data-name) ": "; color: #4d4d4d; }
}
@page { size: A4; margin: 15mm; }
@media print {
  body { font-size: 10pt; max-width: none; padding: 0; }
  h2 { margin-top: 6mm; }
  h2, h3, caption, p:has(+ figure), p:has(+ table) { break-after: avoid; }
  tr, dl, .next { break-inside: avoid; }
  table { font-size: 9pt; margin: 2mm 0; }
  th, td { padding: .4mm 3mm .4mm 0; }
  .map { margin: 3mm 0; }
  .map img { max-height: 85mm; width: auto; }
  .pair { grid-template-columns: 1fr 1fr; }
  .gallery { grid-template-columns: repeat(4, 1fr); gap: 3mm; }
  .gallery li { font-size: 7.5pt; }
  summary, .on-screen { display: none; }
  footer { margin-top: 5mm; break-before: avoid; }
  details::details-content { content-visibility: visible; height: auto; }
}
"""


def page(title: str, body: list[Markup], made_by: str) -> str:
    """Return a whole page: ``body`` below the heading ``title``."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content=made_by),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Markup(_STYLE)),
    )
    main = tag("main", tag("h1", title), joined(body))
    foot = tag("footer", tag("p", f"Made by {made_by}.", class_="note"))
    return "<!DOCTYPE html>\n" + tag("html", head, tag("body", main, foot), lang="en") + "\n"


def section(title: str, *parts: str) -> Markup:
    """Return a part of the page with its heading."""
    return tag("section", tag("h2", title), *parts)


def paragraph(text: str, kind: str | None = None) -> Markup:
    """Return a paragraph."""
    return tag("p", text, class_=kind)


def map_figure(picture: bytes, alt: str, caption: str) -> Markup:
    """Return a map, a JPEG, with what it shows in words and its caption."""
    return tag("figure", image(picture, "jpeg", alt), tag("figcaption", caption), class_="map")
