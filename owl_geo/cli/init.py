"""``owl-geo init``: a run from scenes and layers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from owl_geo.cli import cube, flags, init_report, init_settings, loop, synthetic
from owl_geo.cli import options as opt
from owl_geo.cli import scenes as scenes_
from owl_geo.cli.ingest import login_name
from owl_geo.cli.init_settings import InitOptions

if TYPE_CHECKING:
    from owl_geo.settings.config import Settings
    from owl_geo.verbs.preview import PatchSize


class _SourceKind(click.Choice):  # type: ignore[type-arg] # not generic before click 8.4
    """The kinds of source, looked up on use, so that other commands do not wait for the import."""

    def __init__(self) -> None:
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        from owl_geo.settings.config import source_sections

        return tuple(source_sections())


def _words(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    return _without_gaps(text, [word.strip() for word in text.split(",")]) if text else ()


def _values(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    return _without_gaps(text, opt.listed(text)) if text else ()


def _without_gaps(text: str, words: list[str]) -> tuple[str, ...]:
    if not all(words):
        raise click.BadParameter(f"{text!r} has an empty item between its commas")
    return tuple(words)


def _numbers(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
    words = _words(ctx, parameter, text)
    if not all(word.removeprefix("-").isdecimal() for word in words):
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
@scenes_.scene_option(
    "as --source says, a cube, a GeoParquet table (vectors), a folder of TESSERA's .npy (arrays)"
)
@click.option(
    "--bands", callback=_words, help="Positions, descriptions or common names: 1-3, or B2,B3,nir."
)
@click.option(
    "--common",
    cls=opt.Advanced,
    callback=_pairs,
    metavar="NAME=BAND[,...]",
    help="What bands are where the files do not say, or say wrongly: nir=4,red=1.",
)
@click.option(
    "--patch-size",
    type=int,
    help="Height and width of a patch in pixels.",
    show_default="chosen for the scene",
    cls=opt.Option,
)
@click.option(
    "--stride",
    cls=opt.Advanced,
    type=int,
    help="Pixels from patch to patch.",
    show_default="the patch size",
)
@click.option(
    "--min-valid",
    cls=opt.Advanced,
    type=float,
    help="Share of valid pixels that a patch needs.",
    show_default="0.9",
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
    help="Numbers of the mask's bands that count: 1,2.",
    show_default="all",
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
    callback=_values,
    metavar="VALUE[=NAME],...",
    help="Values of the truth that mean the class searched for, or VALUE=NAME for several "
    "classes; one with a comma in double quotes.",
)
@click.option(
    "--oracle-share",
    cls=opt.Advanced,
    type=float,
    help="Share of a patch that the truth's class must cover.",
    show_default="0.5",
)
@click.option(
    "--classes",
    callback=_words,
    help="The possible answers.",
    show_default="absent,present",
    cls=opt.Option,
)
@click.option(
    "--positive", cls=opt.Advanced, help="The class to search for.", show_default="the last class"
)
@click.option(
    "--labels",
    cls=opt.Advanced,
    metavar="ADDRESS",
    help="Where answers are kept: postgresql://HOST/DB, without a password.",
    show_default="RUN/labels.gpkg",
)
@cube.cube_options
@synthetic.generator_options
@loop.loop_options
@click.option(
    "--config",
    "config_path",
    type=opt.LocalPath(),
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
    if not update:
        return _make(run_path, InitOptions(**given), cluster, overwrite=overwrite, dry_run=dry_run)
    source = click.get_current_context().get_parameter_source
    is_given = any(source(name) is not ParameterSource.DEFAULT for name in given)
    if is_given or overwrite or dry_run:
        raise click.UsageError("--update takes its settings from RUN/owl.toml alone")
    return _update(run_path, cluster)


def _update(run_path: Path, cluster: str | None) -> int:
    """Rebuild the index of a run from its owl.toml."""
    from owl_geo.verbs.update import update
    from owl_geo.work import cluster as cluster_

    with cluster_.opened(cluster) as workers:
        summary = update(run_path, workers=workers, report=opt.progress)
    return init_report.say_summary(summary, run_path, is_new=False)


def _make(
    run_path: Path, options: InitOptions, cluster: str | None, *, overwrite: bool, dry_run: bool
) -> int:
    """Make the run that the options describe, or show what it would be."""
    from owl_geo.settings import owl_toml

    names_nothing = not (options.scenes or options.config_path)
    if names_nothing and (run_path / owl_toml.FILE_NAME).is_file():
        from owl_geo.run_folder import setup

        setup.check_free(run_path, overwrite=overwrite)  # rather than that scenes are missing
    tables, failed = init_settings.tables_of(options)
    with flags.named_in_errors(vars(options)):
        settings = owl_toml.parse(tables, init_settings.origin(options))
    # what works on patches is imported once the options are sound, so that a mistake is told early
    from owl_geo.run_folder import setup
    from owl_geo.verbs import init as verb
    from owl_geo.work import cluster as cluster_

    if not dry_run:  # before scenes are opened to choose a patch size
        setup.check_free(run_path, overwrite=overwrite)
    size = None
    if "patch_size" not in tables["source"]:
        settings, size = _sized(settings)
    if dry_run:
        plan = init_report.Plan(run_path, settings, size, options.examples, failed)
        return _preview(plan, overwrite=overwrite)
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
    return init_report.say_summary(summary, run_path, size)


def _sized(settings: Settings) -> tuple[Settings, PatchSize | None]:
    """Choose a patch size that suits the source.

    None where it has a size of its own, or nothing of it can be opened.
    """
    from owl_geo.verbs import preview

    size = preview.suitable_patch_size(settings.source)
    if size is None:
        return settings, None
    source = settings.source.model_copy(update={"patch_size": size.pixels})
    return settings.model_copy(update={"source": source}), size


def _preview(plan: init_report.Plan, *, overwrite: bool) -> int:
    """Show what would be made."""
    from owl_geo.verbs import preview
    from owl_geo.verbs.examples import check_examples

    if plan.examples is not None:
        check_examples(plan.examples, plan.settings)
    now = preview.preview(plan.run_path, plan.settings, overwrite=overwrite)
    return init_report.say_preview(plan, now)
