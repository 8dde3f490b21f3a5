"""``owl-geo init``: a run from scenes and layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from owl_geo.cli import cube, flags, synthetic
from owl_geo.cli import options as opt
from owl_geo.cli import scenes as scenes_
from owl_geo.cli.ingest import login_name
from owl_geo.cli.logs import duration
from owl_geo.settings.choices import MODELS

if TYPE_CHECKING:
    from owl_geo.settings.config import Settings
    from owl_geo.sources.unopened import OnError, UnopenedSource
    from owl_geo.types import FailedScene, SceneGrid
    from owl_geo.verbs.init import Summary


class _SourceKind(click.Choice):  # type: ignore[type-arg] # not generic before click 8.4
    """The kinds of source, looked up on use, so that other commands do not wait for the import."""

    def __init__(self) -> None:
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        from owl_geo.settings.config import source_sections

        return tuple(source_sections())


def _words(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    if not text:
        return ()
    words = tuple(word.strip() for word in text.split(","))
    if not all(words):
        raise click.BadParameter(f"{text!r} has an empty item between its commas")
    return words


def _numbers(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
    words = _words(ctx, parameter, text)
    if not all(word.lstrip("-").isdigit() for word in words):
        raise click.BadParameter("give whole numbers separated by commas")
    return tuple(int(word) for word in words)


def _pairs(
    ctx: click.Context, parameter: click.Parameter, text: str | None
) -> dict[str, str] | None:
    pairs: dict[str, str] = {}
    for word in _words(ctx, parameter, text):
        name, sign, band = (part.strip() for part in word.partition("="))
        if not (name and sign and band) or name in pairs:
            raise click.BadParameter(f"{word!r} does not say which band something is: nir=4,red=1")
        pairs[name] = band
    return pairs or None


@dataclass(frozen=True, kw_only=True)
class InitOptions(opt.LoopOptions, synthetic.Generator):
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


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo init RUN --scene S2.tif --bands B2,B3,B4,B8 --osm area.osm",
    short_help="Make a run: tile the scenes and compute the concepts.",
)
@opt.run_folder
@click.option(
    "--source",
    cls=opt.Advanced,
    type=_SourceKind(),
    default="geotiff",
    show_default=True,
    help="Where patches come from.",
)
@scenes_.scene_options
@click.option(
    "--bands", callback=_words, help="Positions, descriptions or common names: B2,B3,nir."
)
@click.option(
    "--common",
    cls=opt.Advanced,
    callback=_pairs,
    metavar="NAME=BAND[,...]",
    help="What bands are where the files do not say, or say wrongly: nir=4,red=1.",
)
@click.option(
    "--patch-size", type=int, help="Height and width of a patch in pixels.  [chosen for the scene]"
)
@click.option(
    "--stride", cls=opt.Advanced, type=int, help="Pixels from patch to patch.  [the patch size]"
)
@click.option(
    "--min-valid",
    cls=opt.Advanced,
    type=float,
    help="Share of valid pixels that a patch needs.  [0.9]",
)
@scenes_.mask_option
@click.option(
    "--mask-bad",
    cls=opt.Advanced,
    callback=_numbers,
    help="Values of the mask that mean invalid: 3,8,9.",
)
@click.option(
    "--mask-bands",
    cls=opt.Advanced,
    callback=_numbers,
    help="Numbers of the mask's bands that count: 1,2.  [all]",
)
@scenes_.on_error
@click.option(
    "--aoi",
    cls=opt.Advanced,
    shell_complete=opt.files,
    help="Polygons; patches whose centre lies outside are left out.",
)
@click.option(
    "--view",
    "views",
    multiple=True,
    metavar="NAME=PATH[,PATH...]",
    shell_complete=opt.files,
    help="Further rasters of the same ground, such as an earlier date (before='2019/*.SAFE'), "
    "radar or terrain. Repeat for more views.",
)
@click.option(
    "--osm",
    shell_complete=opt.files,
    help="An OSM extract, or FILE|layername=NAME; adds ready-made concepts.",
)
@click.option(
    "--examples",
    metavar="SITES",
    shell_complete=opt.files,
    help="Known targets (points, lines or polygons): the first batch is what is most like them.",
)
@click.option(
    "--oracle",
    cls=opt.Advanced,
    shell_complete=opt.files,
    help="Truth for a simulation: polygons, points or a raster; FILE or FILE|layername=NAME.",
)
@click.option(
    "--oracle-column", cls=opt.Advanced, help="The attribute of the truth that holds the class."
)
@click.option(
    "--oracle-values",
    cls=opt.Advanced,
    callback=_words,
    help="Values of the truth that count as positive.",
)
@click.option(
    "--oracle-share",
    cls=opt.Advanced,
    type=float,
    help="Smallest share of overlap that makes a class.  [0.5]",
)
@click.option("--classes", callback=_words, help="The possible answers.  [absent,present]")
@click.option("--positive", cls=opt.Advanced, help="The class to search for.  [the last class]")
@click.option(
    "--labels",
    cls=opt.Advanced,
    metavar="ADDRESS",
    help="Where answers are kept: postgresql://HOST/DB, without a password.  [RUN/labels.gpkg]",
)
@cube.cube_options
@synthetic.generator_options
@opt.loop_options
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="A TOML file with more settings, such as your own concepts; options override it.",
)
@click.option("--overwrite", is_flag=True, help="Replace a run that nobody has labelled.")
@click.option("--update", is_flag=True, help="Rebuild the index after owl.toml was edited.")
@click.option("--dry-run", is_flag=True, help="Show what would be done; write nothing.")
@opt.cluster
@opt.common
def init(
    run_path: Path,
    overwrite: bool,
    update: bool,
    dry_run: bool,
    cluster: str | None,
    **given: Any,
) -> int:
    """Make a run: tile the scenes, compute the concepts, write owl.toml and the patch index.

    Prints how many patches there are, which of them each view shows, and what each concept looks
    like. After you edit sources or concepts in RUN/owl.toml, --update rebuilds the index and keeps
    the answers.
    """
    from owl_geo.settings import owl_toml
    from owl_geo.work import cluster as cluster_

    # what works on patches is imported once the options are sound, so that a mistake is told early
    why = ""
    if update:
        source = click.get_current_context().get_parameter_source
        is_given = any(source(name) is not ParameterSource.DEFAULT for name in given)
        if is_given or overwrite or dry_run:
            raise click.UsageError("--update takes its settings from RUN/owl.toml alone")
        from owl_geo.verbs import init as verb

        with cluster_.opened(cluster) as workers:
            summary = verb.update(run_path, workers=workers, report=opt.progress)
    else:
        options = InitOptions(**given)
        values, failed = _settings(options)
        with flags.named_in_errors(given):
            settings = owl_toml.parse(values, _origin(options))
        from owl_geo.run_folder import setup as run_setup
        from owl_geo.verbs import init as verb

        if not dry_run:  # before scenes are opened to choose a patch size
            run_setup.check_free(run_path, overwrite=overwrite)
        settings, why = _sized(settings, "patch_size" in values["source"])
        if dry_run:
            return _preview(
                run_path, settings, failed, why, overwrite=overwrite, examples=options.examples
            )
        with cluster_.opened(cluster) as workers:
            summary = verb.init(
                run_path,
                settings,
                overwrite=overwrite,
                on_error=options.on_error,
                workers=workers,
                report=opt.progress,
                examples=options.examples,
                annotator=login_name(),
            )
        summary = replace(summary, failed=(*failed, *summary.failed))
    return _print(summary, run_path, why)


def _origin(options: InitOptions) -> str:
    return f"the options and {options.config_path}" if options.config_path else "the options"


def _sized(settings: Settings, is_given: bool) -> tuple[Settings, str]:
    """Choose a patch size that suits the source if none was given; return it and the reason."""
    from owl_geo.verbs import preview

    if is_given:
        return settings, ""
    size = preview.suitable_patch_size(settings.source)
    if size is None:
        return settings, ""
    source = settings.source.model_copy(update={"patch_size": size.pixels})
    why = f"Patch size: {size.pixels} pixels, {size.why}; --patch-size sets another"
    return settings.model_copy(update={"source": source}), why


def _preview(
    run_path: Path,
    settings: Settings,
    failed: Sequence[FailedScene],
    why: str,
    *,
    overwrite: bool,
    examples: str | None,
) -> int:
    """Print what init would do."""
    from owl_geo.ground.pixels import pixel_metres
    from owl_geo.sources.band_choice import in_short
    from owl_geo.sources.scenes import crs_text
    from owl_geo.verbs import preview as preview_
    from owl_geo.verbs.examples import check_examples

    if examples is not None:
        check_examples(examples, settings)
    now = preview_.preview(run_path, settings, overwrite=overwrite)
    grids = list(now.grids.values())
    first = grids[0]
    metres = pixel_metres(first)
    codes = sorted({crs_text(grid) for grid in grids})
    size = preview_.length(metres * now.patch_size)
    made = ", ".join(f"{name} ({concept.kind})" for name, concept in settings.concepts.items())
    times = ", ".join(f"{name} {duration(seconds)}" for name, seconds in now.seconds.items())
    model = settings.model.kind
    if not MODELS[model].on_features:
        times = f"init {duration(now.seconds['init'])}; {model} takes longer to learn and predict"
    elsewhere = sum(n for _, n in now.places.values())
    twice = f"; {elsewhere:,} more show places seen in another scene" if elsewhere else ""
    sizes = f"{first.width} x {first.height} pixels of {preview_.length(metres)}"
    click.echo("Dry run: nothing is written")
    for name, text in [
        ("Run", f"{run_path}, {'in place of the run there' if run_path.exists() else 'new'}"),
        ("Scenes", f"{len(grids)}: {first.name}, {sizes}" + (", ..." if len(grids) > 1 else "")),
        ("CRS", ", ".join(codes)),
        ("Bands", f"{len(now.bands)}: {in_short(now.bands)}"),
        *(("View", f"{name}: {content}") for name, content in now.views.items()),
        (
            "Patches",
            f"{now.n_patches:,} at most, {now.patch_size} x {now.patch_size} pixels, {size}{twice}",
        ),
        *([("Examples", examples)] if examples else []),
        ("Concepts", made or "none; --osm FILE or --config FILE adds some"),
        ("Disk", f"about {_bytes(now.n_bytes)}, after {settings.loop.rounds} rounds"),
        ("Time", f"about: {times}"),
    ]:
        click.echo(f"{name + ':':<10}{text}")
    if elsewhere:
        scenes_.say_places(now.places)
    if why:
        opt.say(why)
    _say_notes(settings, now.grids, is_made=False)
    scenes_.name_failed(failed)
    return scenes_.exit_code(bool(failed))


def _say_notes(settings: Settings, grids: Mapping[str, SceneGrid], *, is_made: bool) -> None:
    """Print what may surprise a beginner, or what one may have missed."""
    from owl_geo.sources import unopened_source
    from owl_geo.verbs import preview

    unit = preview.unit_note(grids)
    if unit:
        opt.say(f"Note: {unit}")
    source = unopened_source(settings.source)
    for note in source.notes():
        opt.say(f"Note: {note}{' --overwrite' if is_made else ''}")
    paths = [path for of_scene in source.files.values() for path in of_scene]
    extract = preview.osm_beside(Path(paths[0])) if paths and not settings.concepts else None
    if extract is not None:
        again = " (--overwrite replaces this run)" if is_made else ""
        opt.say(
            f"Note: {extract} lies beside the scene; --osm {opt.quoted(extract)} would use it to "
            f"guide the search{again}"
        )


def _bytes(n: int) -> str:
    return f"{n / 1e6:.0f} MB" if n < 1e9 else f"{n / 1e9:.1f} GB"


def _print(summary: Summary, run_path: Path, why: str) -> int:
    from owl_geo.labels import store_class
    from owl_geo.sources.band_choice import in_short

    n, size = len(summary.run.patches), summary.run.settings.patch_size
    patches = "1 patch" if n == 1 else f"{n} patches"
    click.echo(f"{run_path}: {patches} of {size} x {size} pixels in {summary.crs}")
    sections = [
        ("Layers", [f"{name}: covers {share:.0%}" for name, share in summary.coverage.items()]),
        ("Concepts", summary.concepts),
        ("Truth", summary.truth),
        ("Examples", summary.examples),
    ]
    click.echo("Bands:")
    click.echo(f"  {in_short(summary.bands)}")
    scenes_.say_scenes(summary.scenes)
    scenes_.say_views(summary.views)
    for title, lines in sections:
        if lines:
            click.echo(f"{title}:")
        for line in lines:
            click.echo(f"  {line}")
    if summary.failed or len(summary.scenes) > 1:
        scenes_.say_outcome(len(summary.scenes), 0, summary.failed)
    settings = summary.run.settings
    if why:
        opt.say(why)
    for note in summary.notes:
        opt.say(f"Note: {note}")
    _say_notes(summary.run.settings_here, summary.run.grids, is_made=True)
    step = "query" if settings.oracle is None else "run"
    if store_class(settings.labels).has_administration:
        step = "store init"
    opt.say(f"Next: owl-geo {step} {opt.quoted(run_path)}")
    return scenes_.exit_code(bool(summary.failed))


def _settings(options: InitOptions) -> tuple[dict[str, Any], tuple[FailedScene, ...]]:
    """Compose the settings: the file of --config first, then the options, which override it.

    Returns the tables of owl.toml, and the scenes that could not be used.
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
        owl_toml.parse(base, _origin(options))  # which says so
        kind = options.source
    _refuse_others(options, kind, sources)
    if not sections[kind].is_on_earth:
        earthly = next(name for name, section in sections.items() if section.is_on_earth)
        _refuse(options, _OF_EARTH, f"--source {earthly}")
    named = sources[kind].named(kind, vars(options))
    base = opt.merge(base, absolute_paths(named.tables, Path.cwd()))
    base = opt.merge(base, opt.given(oracle=_oracle(options), views=_views(options.views)))
    if options.osm:
        base = opt.merge(base, _osm(options.osm))
    classes = options.classes
    positive = options.positive or (classes[-1] if classes else None)
    over = opt.given(
        classes=classes,
        positive=positive,
        labels=options.labels,
        **opt.loop_settings(options),
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


# Parameters that apply only to a source with a location on Earth.
_OF_EARTH = ("views", "osm", "examples", "oracle", "oracle_column", "oracle_values", "oracle_share")


def _refuse_others(
    options: InitOptions, kind: str, sources: Mapping[str, type[UnopenedSource[Any]]]
) -> None:
    """Refuse options of other kinds of source, and combinations that this kind does not allow."""
    for other, source in sources.items():
        names = [name for name in source.options if name not in sources[kind].options]
        _refuse(options, names, f"--source {other}")
    if len(options.scenes) > 1 and not sources[kind].takes_many_scenes:
        raise click.UsageError(f"--source {kind} takes one --scene")
    if options.masks and not options.scenes:
        raise click.UsageError("--mask goes with --scene")


def _refuse(options: InitOptions, names: Sequence[str], where: str) -> None:
    """Refuse options that would have no effect."""
    for name in names:
        if getattr(options, name, None) not in (None, ()):
            raise click.UsageError(f"{flags.flag(name)} goes with {where}")


def _views(words: Sequence[str]) -> dict[str, Any]:
    """Return the tables [views] that --view names."""
    if not words:
        return {}
    from owl_geo.sources.views.unopened import named_views

    return named_views(words)


def _oracle(options: InitOptions) -> dict[str, Any]:
    path, values = options.oracle, options.oracle_values
    if not path:
        _refuse(options, ("oracle_column", "oracle_values", "oracle_share"), "--oracle")
        return {}
    path, layer = _layer_of(path)
    classes = options.classes
    positive = options.positive or (classes[-1] if classes else "present")
    return opt.given(
        path=_absolute(path),
        layer=layer,
        column=options.oracle_column,
        values={positive: values} if values else None,
        min_share=options.oracle_share,
    )


def _osm(path: str) -> dict[str, Any]:
    """Return the tables for ready-made concepts over one layer, with their starting weights."""
    from owl_geo.concepts.preset import osm_preset

    path, layer = _layer_of(path)
    return {
        "layers": {"osm": opt.given(path=_absolute(path), layer=layer)},
        "concepts": {name: c.model_dump() for name, c in osm_preset("osm").items()},
        "acquisition": {"weights": {"urban": 2.0, "near_industrial": 3.0}},
    }


def _layer_of(text: str) -> tuple[str, str | None]:
    """Split ``FILE|layername=NAME``, the form in which QGIS names a layer of a file."""
    path, _, layer = text.partition("|layername=")
    return path, layer or None


def _read(path: Path) -> dict[str, Any]:
    from owl_geo.errors import ConfigError, where_instead
    from owl_geo.settings.owl_toml import absolute_paths, read

    try:
        return absolute_paths(read(path), path.parent)
    except FileNotFoundError as error:
        raise ConfigError(f"--config {path} does not exist", remedy=where_instead(path)) from error


def _absolute(path: str) -> str:
    """Make a path absolute; what is not a file on this machine, such as a URL, stays as it is."""
    from owl_geo.settings.owl_toml import absolute, expanded

    local = expanded(path)
    return str(absolute(local)) if local.exists() or "://" not in path else path
