"""What the report says of a run as a whole: what it searches, where it stands, how it is set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tomlkit

from owl_geo import schema
from owl_geo.reporting.facts import facts
from owl_geo.reporting.markup import Markup, joined, tag
from owl_geo.reporting.page import paragraph, section
from owl_geo.reporting.survey import MOST_SCENES, Survey
from owl_geo.run_folder.folder import Run
from owl_geo.settings.acquisition import AcquisitionSettings
from owl_geo.settings.config import Settings
from owl_geo.sources.band_wording import in_short
from owl_geo.verbs.init import for_a_new_run
from owl_geo.verbs.status import Status
from owl_geo.wording import counted, per_cent

_SCENES = 20  # scenes that the settings list


def introduction(survey: Survey, now: Status) -> Markup:
    """Return what is searched for, in which patches, and which scenes cannot be read."""
    run = survey.run
    size, scenes = run.settings.patch_size, len(run.grids)
    others = [name for name in run.settings.classes if name != run.settings.positive]
    bands = run.index.statistics.of_scene.bands
    lines = [
        f"{counted(now.patches, 'patch')} of {size} x {size} pixels in "
        f"{counted(scenes, 'scene')}, bands {in_short(bands)}. "
        f"Searched for: {run.settings.positive}, as opposed to {', '.join(others)}."
    ]
    if run.truth is not None:
        lines.append("Answers come from known truth: this is a simulated search.")
    if not run.settings.source.is_on_earth:
        lines.append("The patches are generated and have no location on Earth.")
    parts = [paragraph(" ".join(lines)), paragraph(f"Folder: {run.path.resolve()}", "note")]
    missing = list(survey.missing.items())[:MOST_SCENES]
    if survey.source is None:
        parts.append(paragraph(f"No pixels can be read: {missing[0][1]}.", "note"))
        return joined(parts)
    for scene, why in missing:
        parts.append(paragraph(f"Scene {scene} cannot be read: {why}.", "note"))
    return joined(parts)


def standing(run: Run, now: Status) -> Markup:
    """Return what ``owl-geo status`` says, and what to do next."""
    rows = facts(run, now)
    todo = dict(rows).get("Next", "")
    return section(
        "Where it stands",
        _named([(name, text) for name, text in rows if name != "Next"]),
        tag("p", tag("strong", "Next: "), todo, class_="next"),
    )


def audit_share(asked: AcquisitionSettings) -> str:
    """Say which share of a batch is drawn at random, and how it changes."""
    share, common = asked.audit_share, asked.audit_common
    if common is None or common == share:
        return per_cent(share)
    return f"{per_cent(share)}, {per_cent(common)} where targets are common"


def settings(run: Run) -> Markup:
    """Return the settings that matter most, and all that differ from the defaults."""
    chosen = run.settings
    model, asked = chosen.model, chosen.acquisition
    head = f", head {model.head}" if model.on_features else ""
    matter = [
        ("Classes", ", ".join((*chosen.classes, *schema.RESERVED_LABELS))),
        ("Model", f"{model.kind}{head}"),
        ("Doubt", f"{chosen.uncertainty.measure}, {chosen.uncertainty.members}"),
        ("Strategy", f"{asked.strategy}, start {asked.start}, audit {audit_share(asked)}"),
        ("Batches", f"{chosen.loop.initial} first, then {chosen.loop.query_budget}"),
        ("Seed", str(chosen.seed)),
    ]
    return section(
        "Settings",
        _named(matter),
        tag(
            "details",
            tag("summary", "What differs from the defaults"),
            tag("pre", _changed(chosen)),
            class_="on-screen",
        ),
    )


def _named(entries: Iterable[tuple[str, str]]) -> Markup:
    """Return a list in which each text has a name."""
    return tag("dl", *(joined([tag("dt", name), tag("dd", text)]) for name, text in entries))


def _changed(settings: Settings) -> str:
    """Return as TOML what differs from the defaults; long lists of scenes are cut short."""
    # defaults say nothing; where answers are kept is nobody else's business
    changed = settings.model_dump(
        mode="json", exclude_defaults=True, exclude_none=True, exclude={"labels", "run_id"}
    )
    asked = changed.get("acquisition", {})
    usual = for_a_new_run(settings.model_copy(update={"acquisition": AcquisitionSettings()}))
    for name, value in usual.acquisition.model_dump(mode="json", exclude_defaults=True).items():
        if asked.get(name) == value:
            del asked[name]
    if not asked:
        changed.pop("acquisition", None)
    cut = _cut_short(changed.get("source", {}), "")
    for name, view in changed.get("views", {}).items():
        cut += _cut_short(view, f" of view {name}")
    return tomlkit.dumps(changed) + cut


def _cut_short(table: dict[str, Any], whose: str) -> str:
    """Leave the first scenes in a table; return a comment that says how many more there are."""
    scenes = table.get("scenes", [])
    if len(scenes) <= _SCENES:
        return ""
    table["scenes"] = scenes[:_SCENES]
    return f"# and {counted(len(scenes) - _SCENES, 'more scene')}{whose}\n"
