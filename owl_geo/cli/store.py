"""``owl-geo store``: the label store that a team shares."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owl_geo.cli import options as opt
from owl_geo.errors import RunError

if TYPE_CHECKING:
    from owl_geo.labels import LabelStore
    from owl_geo.settings.config import Settings

PASSWORD = "OWL_GEO_NEW_PASSWORD"  # noqa: S105 - the name of a variable


@click.group(short_help="The label store of a team, in PostGIS.")
def store() -> None:
    """The label store of a team, in PostGIS: make it, let people label, see who is at work.

    RUN/owl.toml says where it is: labels = "postgresql://HOST/DB". User and password come from
    PGUSER, PGPASSWORD, ~/.pgpass or a service, never from owl.toml.
    """


@store.command(
    cls=opt.Command,
    epilog="Example: owl-geo store init RUN",
    short_help="Make the store, and make the run known to it.",
)
@opt.run_folder
@click.option(
    "--lease-minutes",
    type=click.FloatRange(min=0, min_open=True, max=24 * 60),
    help="How long a patch that someone takes is theirs.  [10]",
)
@opt.common
def init(run_path: Path, lease_minutes: float | None) -> None:
    """Make the store, or bring it up to date, and make the run known to it.

    It needs a role with CREATE on the database and CREATEROLE, and PostGIS. What stands in the
    store stays; --lease-minutes may be changed later.
    """
    settings, label_store = _open(run_path)
    lease = None if lease_minutes is None else timedelta(minutes=lease_minutes)
    is_new = label_store.administration().set_up(settings.classes, settings.positive, lease)
    known = "" if is_new else f" before, with {label_store.count()} answers"
    click.echo(f"{label_store.place} knows run {settings.run_id}{known}")
    opt.say(f"Next: owl-geo store annotator {opt.quoted(run_path)} NAME, for each who labels")


@store.command(
    cls=opt.Command,
    epilog="Example: owl-geo store annotator RUN ana",
    short_help="Let someone label, or no longer.",
)
@opt.run_folder
@click.argument("name")
@click.option("--revoke", is_flag=True, help="Take the right to label away; answers stay.")
@opt.common
def annotator(run_path: Path, name: str, revoke: bool) -> None:
    """Let someone label, in all runs of the store, under the name of their role.

    A role that is new gets the password in OWL_GEO_NEW_PASSWORD, or what is typed; it leaves this
    machine as a hash. A role that exists keeps its own.
    """
    _, label_store = _open(run_path)
    administration = label_store.administration()
    if revoke:
        administration.revoke_annotator(name)
        click.echo(f"{name} may no longer label in {label_store.place}; the role is still there")
        return
    password = None
    if not administration.has_account(name):
        password = os.environ.get(PASSWORD) or _ask_for_password(name)
    is_new = administration.add_annotator(name, password)
    kept = "" if is_new else ", with the password that the role has"
    click.echo(f"{name} may label in {label_store.place}{kept}")


@store.command(
    cls=opt.Command,
    epilog="Example: owl-geo store status RUN",
    short_help="Who answered, what is published, who is looking at what.",
)
@opt.run_folder
@opt.common
def status(run_path: Path) -> None:
    """Say who answered how much, which batches are published, and who is looking at what."""
    settings, label_store = _open(run_path)
    administration = label_store.administration()
    label_store.check_ready()
    now = administration.state()
    people = administration.annotators()
    answers = [f"{name}: {n}" for name, n in now.answers.items()]
    batches = [
        f"{batch.layer}: {batch.patches} patches, {batch.answered} answered"
        for batch in now.batches
    ]
    leases = [
        f"{lease.annotator}: {lease.patch_id} until {lease.expires_at:%H:%M} UTC"
        for lease in now.leases
    ]
    click.echo(f"{'Store:':<12}{label_store.place}, run {settings.run_id}")
    click.echo(f"{'Annotators:':<12}{', '.join(people) or 'none yet'}")
    for title, lines in (("Answers", answers), ("Batches", batches), ("Leases", leases)):
        for place, line in enumerate(lines or ["none"]):
            click.echo(f"{title + ':' if place == 0 else '':<12}{line}")


def _ask_for_password(name: str) -> str:
    if not sys.stdin.isatty():
        raise RunError(
            f"{name} needs a password, and nobody can type one", remedy=f"set {PASSWORD}"
        )
    typed: str = click.prompt(
        f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True
    )
    return typed


def _open(run_path: Path) -> tuple[Settings, LabelStore]:
    from owl_geo.run_folder.folder import Run

    run = Run(run_path)
    # answers in a file are for the commands that learn to complain of
    return run.settings, run.label_store(check=False)
