"""``owl-geo store``: the label store that a team shares."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owl_geo.cli import options as opt
from owl_geo.errors import RunError, printable
from owl_geo.wording import as_typed, counted

if TYPE_CHECKING:
    from owl_geo.labels import LabelStore
    from owl_geo.run_folder.folder import Run

PASSWORD = "OWL_GEO_NEW_PASSWORD"  # noqa: S105 - the name of a variable


@click.group(
    short_help="Manage the label store of a team, in PostGIS.",
    epilog="Example: owl-geo store init RUN",
)
def store() -> None:
    """Manage the label store of a team, in PostGIS: set it up, let people label, see their work.

    RUN/owl.toml names its address: labels = "postgresql://HOST/DB". User and password come from
    PGUSER, PGPASSWORD, ~/.pgpass or a service, never from owl.toml.
    """


@store.command(
    cls=opt.Command,
    epilog="Example: owl-geo store init RUN",
    short_help="Set up the store, and register the run in it.",
)
@opt.run_folder
@click.option(
    "--lease-minutes",
    type=click.FloatRange(min=0, min_open=True, max=24 * 60),
    help="How long a patch is reserved for the person who opens it.",
    show_default="10",
    cls=opt.Option,
)
@opt.common
def init(run_path: Path, lease_minutes: float | None) -> None:
    """Set up the store, or bring it up to date, and register the run in it.

    It needs PostGIS, and a role with CREATE on the database and CREATEROLE. Answers in the store
    are kept; --lease-minutes can be changed later.
    """
    run, label_store = _open(run_path)
    settings = run.settings
    run.check_ground(label_store)
    lease = None if lease_minutes is None else timedelta(minutes=lease_minutes)
    is_new = label_store.administration().set_up(settings.classes, settings.positive, lease)
    already = "" if is_new else f" already, with {counted(label_store.count(), 'answer')}"
    click.echo(f"{label_store.place} has run {settings.run_id}{already}")
    opt.say(f"Next: owl-geo store annotator {as_typed(run_path)} NAME, for each annotator")


@store.command(
    cls=opt.Command,
    epilog="Example: owl-geo store annotator RUN ana",
    short_help="Let someone label, or revoke that right.",
)
@opt.run_folder
@click.argument("name")
@click.option("--revoke", is_flag=True, help="Revoke the right to label; answers stay.")
@opt.common
def annotator(run_path: Path, name: str, revoke: bool) -> None:
    """Let someone label in all runs of the store, under the name of their role.

    A new role gets the password in OWL_GEO_NEW_PASSWORD, or one that you type; it leaves this
    machine only as a hash. An existing role keeps its password.
    """
    _, label_store = _open(run_path)
    administration = label_store.administration()
    if revoke:
        administration.revoke_annotator(name)
        click.echo(f"{name} may no longer label in {label_store.place}; the role still exists")
        return
    password = None
    if not administration.has_account(name):
        password = os.environ.get(PASSWORD) or _ask_for_password(name)
    is_new = administration.add_annotator(name, password)
    kept = "" if is_new else ", with the password the role already has"
    click.echo(f"{name} may label in {label_store.place}{kept}")


@store.command(
    cls=opt.Command,
    epilog="Example: owl-geo store status RUN",
    short_help="Show answers, published batches and reserved patches.",
)
@opt.run_folder
@opt.common
def status(run_path: Path) -> None:
    """Show how much each annotator answered, the published batches, and who is looking at what."""
    run, label_store = _open(run_path)
    administration = label_store.administration()
    label_store.check_ready()
    now = administration.state()
    people = administration.annotators()
    answers = [f"{printable(name)}: {n:,}" for name, n in now.answers.items()]
    batches = [
        f"{batch.layer}: {counted(batch.patches, 'patch')}, {batch.answered:,} answered"
        for batch in now.batches
    ]
    leases = [
        f"{printable(lease.annotator)}: {lease.patch_id} until {lease.expires_at:%H:%M} UTC"
        for lease in now.leases
    ]
    click.echo(f"{'Store:':<12}{label_store.place}, run {run.settings.run_id}")
    click.echo(f"{'Annotators:':<12}{', '.join(map(printable, people)) or 'none yet'}")
    for title, lines in (("Answers", answers), ("Batches", batches), ("Leases", leases)):
        for number, line in enumerate(lines or ["none"]):
            click.echo(f"{title + ':' if number == 0 else '':<12}{line}")


def _ask_for_password(name: str) -> str:
    if not sys.stdin.isatty():
        raise RunError(
            f"{name} needs a password, but there is no terminal to type it in",
            remedy=f"set {PASSWORD}",
        )
    typed: str = click.prompt(
        f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True
    )
    return typed


def _open(run_path: Path) -> tuple[Run, LabelStore]:
    from owl_geo.run_folder.folder import Run

    run = Run(run_path)
    # the commands that learn refuse answers in a file
    return run, run.label_store(check=False)
