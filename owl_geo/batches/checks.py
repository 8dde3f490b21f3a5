"""Checks of the answers in a file: labels must be the run's, times must be valid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from owl_geo.errors import BatchError, ConfigError, brief, check_text, not_a_label
from owl_geo.schema import TIME_FORMAT


def check_annotator(name: str) -> None:
    """Raise ConfigError for what cannot be a name, of an annotator whom a file does not name."""
    check_text("annotator", name)
    if not name.strip() or not name.isprintable():
        raise ConfigError(f"the annotator {name!r} cannot be a name", remedy="use plain words")


def check_characters(path: Path, column: str, patch_id: object, text: str) -> None:
    """Raise BatchError for NUL: GDAL cuts text off there, and PostgreSQL refuses it."""
    if "\0" in text:
        raise BatchError(
            f"{path}: {column} of patch {brief(patch_id)} has a NUL character", remedy="take it out"
        )


def check_labels(path: Path, answered: Iterable[tuple[str, str]], allowed: Sequence[str]) -> None:
    """Raise BatchError if one of the pairs (patch_id, label) has a label that is not allowed."""
    unknown = [(patch, label) for patch, label in answered if label not in allowed]
    if unknown:
        patch, label = unknown[0]
        more = f" (and {len(unknown) - 1:,} more)" if len(unknown) > 1 else ""
        raise BatchError(f"{path}: patch {patch!r} {not_a_label(label, allowed, more)}")


def utc_time(path: Path, patch_id: str, text: str | None) -> str | None:
    """Return an ISO 8601 time in UTC to the second; without an offset it is taken as UTC.

    Returns None for a missing or empty text. Raises BatchError for a text that is not a time.
    """
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        aware = aware.astimezone(UTC)
        return f"{aware.year:04}{aware.strftime(TIME_FORMAT.removeprefix('%Y'))}"  # 1 is not padded
    except (ValueError, OverflowError) as error:  # the latter at the ends of the calendar
        raise BatchError(
            f"{path}: labelled_at of patch {patch_id!r} is {brief(text)}, which is not a time",
            remedy="write it like 2026-01-31T12:00:00Z, or leave it empty",
        ) from error
