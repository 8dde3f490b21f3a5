"""How places become answers, and what became of them, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from owl_geo.types import AnyArray, IntArray
from owl_geo.wording import counted, plural

SHARE = 0.5  # of a patch, from which on a polygon or a class of a raster answers it


@dataclass(frozen=True)
class AsSites:
    """How the places of a file become answers; None = not said.

    Args:
        label: what all of them show.
        column: the attribute that holds what each of them shows.
        values: the label that each value means, of the column or of a raster.
        share: of a patch, which a polygon or a class of a raster must cover to answer it.
        crs: the CRS of a file that has none.
        command: what stands before an option, in what an error advises.
    """

    label: str | None = None
    column: str | None = None
    values: Mapping[str, str] | None = None
    share: float | None = None
    crs: str | None = None
    command: str = ""

    @property
    def given(self) -> list[str]:
        """The names of what was said."""
        options = {name: value for name, value in vars(self).items() if name != "command"}
        return [name for name, value in options.items() if value is not None]


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What became of the places of a file.

    Args:
        patches: patches that they lie in.
        held_out: patches that were left out because they test the model.
        ambiguous: patches that were left out because they have sites of several classes.
        kept: patches that others answered otherwise, whose answers stay.
        changed: patches that the same annotator had answered otherwise.
    """

    patches: int
    held_out: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return what a person should know, one line each."""
        return [
            f"{counted(len(patches), 'patch')} {what}, for example {patches[0]}"
            for patches, what in (
                (self.ambiguous, "with sites of several classes, left out"),
                (self.held_out, "held out to test the model, left out"),
                (self.kept, "answered otherwise by others before, whose answers stay"),
                (
                    self.changed,
                    "answered otherwise by the same annotator before, now answered anew",
                ),
            )
            if patches
        ]


@dataclass(frozen=True, kw_only=True)
class PlacedSites(Placed):
    """What became of points, lines and polygons.

    Args:
        sites: sites with a class.
        placed: of these, those that lie in a patch.
        other: values of the column that are no class of the run, by number of sites.
        beyond: sites outside the pool.
        between: sites within a scene, but in no patch.
    """

    sites: int
    placed: int
    other: Mapping[str, int]
    beyond: int
    between: int

    def lines(self) -> list[str]:
        """Return what a person should know, one line each."""
        sites, patches = counted(self.sites, "site"), counted(self.patches, "patch")
        lines = [f"{self.placed:,} of {sites} {plural(self.placed, 'lies', 'lie')} in {patches}"]
        if self.beyond:
            lines.append(f"{counted(self.beyond, 'site')} outside the pool")
        if self.between:
            lines.append(f"{counted(self.between, 'site')} within a scene but between its patches")
        if self.other:
            values = ", ".join(f"{name or '(none)'} ({n:,})" for name, n in self.other.items())
            lines.append(
                f"{counted(sum(self.other.values()), 'site')} left out, of no class of the run: "
                f"{values}"
            )
        return lines + super().lines()


@dataclass(frozen=True, kw_only=True)
class PlacedClasses(Placed):
    """What became of the classes of a raster.

    Args:
        pool: patches of the run.
        values: the label that each value means.
        share: of a patch, that a class must cover.
        without: patches beyond the raster, or where it has no data.
    """

    pool: int
    values: Mapping[str, str]
    share: float
    without: int

    def lines(self) -> list[str]:
        """Return what a person should know, one line each."""
        meant = ", ".join(f"{value} = {label}" for value, label in self.values.items())
        lines = [
            f"{meant}: a class covers {100 * self.share:g} % of {self.patches:,} of "
            f"{counted(self.pool, 'patch')}"
        ]
        if self.without:
            lines.append(
                f"{counted(self.without, 'patch')} beyond the raster, or without data in it"
            )
        return lines + super().lines()


@dataclass(frozen=True)
class Found:
    """Patches with what lies in them, ``(k,)`` each; a patch may come more than once."""

    patch: IntArray
    label: AnyArray
