"""What the options of ``init`` stand for: the tables of owl.toml.

Options and the file of --config are merged here, and what would have no effect is refused; the
command itself (``init.py``) makes the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from owl_geo.cli import flags, loop, synthetic
from owl_geo.cli import options as opt

if TYPE_CHECKING:
    from owl_geo.sources.unopened import OnError, UnopenedSource
    from owl_geo.types import FailedScene

# Parameters that apply only to a source with a location on Earth.
_OF_EARTH = ("views", "osm", "examples", "oracle", "oracle_column", "oracle_values", "oracle_share")


@dataclass(frozen=True, kw_only=True)
class InitOptions(loop.LoopOptions, synthetic.Generator):
    """The options of `init` that become settings; None or empty = not given."""

    source: str  # a kind of source
    scenes: tuple[str, ...]
    bands: tuple[str, ...]
    common: dict[str, str] | None
    patch_size: int | None  # pixels
    stride: int | None  # pixels
    min_valid: float | None
    masks: tuple[str, ...]
    mask_bad: tuple[str, ...]
    mask_bands: tuple[int, ...]
    on_error: OnError
    aoi: str | None
    views: tuple[str, ...]
    time: str | None
    crs: str | None
    vector_column: str | None
    footprint: float | None  # metres
    osm: str | None
    examples: str | None
    oracle: str | None
    oracle_column: str | None
    oracle_values: tuple[str, ...]
    oracle_share: float | None
    classes: tuple[str, ...]
    positive: str | None
    labels: str | None
    config_path: Path | None


def origin(options: InitOptions) -> str:
    """Return where the settings come from, for errors in them."""
    return f"the options and {options.config_path}" if options.config_path else "the options"


def tables_of(options: InitOptions) -> tuple[dict[str, Any], tuple[FailedScene, ...]]:
    """Compose the settings: the file of --config first, then the options, which override it.

    Returns the tables of owl.toml, and the scenes that could not be used. Raises ConfigError or
    SourceError for a file or scene that cannot be used, and UsageError for options that contradict
    one another.
    """
    from owl_geo.settings import owl_toml
    from owl_geo.settings.choices import implementation
    from owl_geo.settings.config import source_sections
    from owl_geo.settings.owl_toml import absolute_paths

    base = _read(options.config_path) if options.config_path else {}
    sections = source_sections()
    sources = {kind: implementation(section.home) for kind, section in sections.items()}
    kind = _kind(options, base, sources)
    if kind not in sources:
        owl_toml.parse(base, origin(options))  # which says so
        kind = options.source
    _refuse_others(options, kind, sources)
    if not sections[kind].is_on_earth:
        earthly = next(name for name, section in sections.items() if section.is_on_earth)
        _refuse(options, _OF_EARTH, f"--source {earthly}")
    named = sources[kind].named(kind, vars(options))
    base = opt.merge(base, absolute_paths(named.tables, Path.cwd()))
    base = opt.merge(base, opt.given(oracle=_oracle(options, base), views=_views(options.views)))
    if options.osm:
        base = opt.merge(base, _osm(options.osm))
    over = opt.given(
        classes=options.classes,
        positive=_positive(options),
        labels=options.labels,
        **loop.loop_settings(options),
    )
    return opt.merge(base, over), named.failed


def _kind(
    options: InitOptions, base: Mapping[str, Any], sources: Mapping[str, type[UnopenedSource[Any]]]
) -> str:
    """Return the kind of the source: that of --source if given, else that of the file.

    Scenes go before a file whose source has none.
    """
    is_given = click.get_current_context().get_parameter_source("source")
    table = base.get("source")
    stated = table.get("kind") if isinstance(table, Mapping) else None
    if is_given is not ParameterSource.DEFAULT or stated is None:
        return options.source
    known = sources.get(str(stated))
    if options.scenes and known is not None and "scenes" not in known.options:
        return options.source
    return str(stated)


def _refuse_others(
    options: InitOptions, kind: str, sources: Mapping[str, type[UnopenedSource[Any]]]
) -> None:
    """Refuse options of other kinds of source, and combinations that this kind does not allow."""
    for source in sources.values():
        for name in source.options:
            if name not in sources[kind].options:
                takers = [other for other, one in sources.items() if name in one.options]
                _refuse(options, [name], f"--source {_alternatives(takers)}")
    if len(options.scenes) > 1 and not sources[kind].takes_many_scenes:
        raise click.UsageError(f"--source {kind} takes one --scene")
    if options.masks and not options.scenes:
        raise click.UsageError("--mask goes with --scene")


def _refuse(options: InitOptions, names: Sequence[str], where: str) -> None:
    """Refuse options that would have no effect."""
    for name in names:
        if getattr(options, name, None) not in (None, ()):
            raise click.UsageError(f"{flags.flag(name)} goes with {where}")


def _alternatives(words: Sequence[str]) -> str:
    """Return words as a choice: ``a``, ``a or b``, ``a, b or c``."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _views(words: Sequence[str]) -> dict[str, Any]:
    """Return the tables [views] that --view names."""
    if not words:
        return {}
    from owl_geo.sources.views.unopened import named_views

    return named_views(words)


def _oracle(options: InitOptions, base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table [oracle] that --oracle and its further options name.

    ``base`` has the tables of --config, which may name the classes.
    """
    path, values = options.oracle, options.oracle_values
    if not path:
        _refuse(options, ("oracle_column", "oracle_values", "oracle_share"), "--oracle")
        return {}
    path, layer = layer_of(path)
    return opt.given(
        path=_absolute(path),
        layer=layer,
        column=options.oracle_column,
        values=_meanings(values, options, base) if values else None,
        min_share=options.oracle_share,
    )


def _meanings(
    values: Sequence[str], options: InitOptions, base: Mapping[str, Any]
) -> dict[str, Sequence[str]]:
    """Return the truth's values by class: of the one searched for, or ``VALUE=NAME`` of several."""
    from owl_geo.settings.class_names import searched_for

    stated = base.get("classes")
    classes = options.classes or (stated if isinstance(stated, list) else ["absent", "present"])
    pairs = [value.rpartition("=") for value in values]
    named = [bool(equals) and label.strip() in classes for _, equals, label in pairs]
    if not any(named):
        positive = _positive(options) or str(base.get("positive", searched_for(classes)))
        return {positive: values}
    if not all(named):
        other = values[named.index(False)]
        raise click.UsageError(
            f"--oracle-values gives some values a class with VALUE=NAME, and {other!r} none; "
            f"known: {', '.join(map(str, classes))}"
        )
    label_of: dict[str, str] = {}
    for value, label in ((value.strip(), label.strip()) for value, _, label in pairs):
        if not value:
            raise click.UsageError(f"--oracle-values gives {label!r} no value before the =")
        if label_of.setdefault(value, label) != label:
            raise click.UsageError(
                f"--oracle-values says that {value!r} means both {label_of[value]!r} and {label!r}"
            )
    meanings: dict[str, list[str]] = {}
    for value, label in label_of.items():
        meanings.setdefault(label, []).append(value)
    return dict(meanings)


def _positive(options: InitOptions) -> str | None:
    """Return the class to search for: the one given, else the last; None where neither is given."""
    return options.positive or (options.classes[-1] if options.classes else None)


def _osm(path: str) -> dict[str, Any]:
    """Return the tables for ready-made concepts over one layer, with their starting weights."""
    from owl_geo.concepts.preset import osm_preset

    path, layer = layer_of(path)
    return {
        "layers": {"osm": opt.given(path=_absolute(path), layer=layer)},
        "concepts": {name: c.model_dump() for name, c in osm_preset("osm").items()},
        "acquisition": {"weights": {"urban": 2.0, "near_industrial": 3.0}},
    }


def layer_of(text: str) -> tuple[str, str | None]:
    """Split ``FILE|layername=NAME``, the form in which QGIS names a layer of a file."""
    path, _, layer = text.partition("|layername=")
    return path, layer or None


def _read(path: Path) -> dict[str, Any]:
    """Read the file of --config, whose paths are relative to its folder."""
    from owl_geo.errors import ConfigError, where_instead
    from owl_geo.settings.owl_toml import absolute_paths, read

    try:
        return absolute_paths(read(path), path.parent)
    except FileNotFoundError as error:
        raise ConfigError(f"--config {path} does not exist", remedy=where_instead(path)) from error


def _absolute(path: str) -> str:
    """Make a path absolute; what is not a file on this machine, such as a URL, stays as it is."""
    from owl_geo.settings.paths import whole_path

    return whole_path(path, Path())
