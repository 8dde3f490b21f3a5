"""What a source says of itself before it is opened, so that nobody else asks of which kind it is.

A kind of source is a table of settings, a ``SourceSection``, whose ``home`` names one of these;
what is asked of a source once it is open is in ``base``. Every command that opens a run asks, so a
module that a ``home`` names imports rasterio, xarray and the like only where it opens something.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, get_args

from owl_geo.errors import ConfigError, check_text, suggestion
from owl_geo.settings.files import with_files
from owl_geo.settings.paths import is_local
from owl_geo.settings.sources import SameGround as SameGround
from owl_geo.settings.sources import SourceSection
from owl_geo.settings.subdatasets import with_file
from owl_geo.sources.file_states import file_states, visible_files
from owl_geo.types import FailedScene, SceneGrid
from owl_geo.work.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from owl_geo.ground.windows import PoolWindows
    from owl_geo.sources.band_choice import KnownBand
    from owl_geo.sources.base import PatchSource, PoolSource

S = TypeVar("S", bound=SourceSection)

OnError = Literal["fail", "skip"]  # what becomes of scenes that cannot be used


def check_on_error(on_error: str) -> None:
    """Raise ConfigError for a word that says neither what becomes of such scenes."""
    known = get_args(OnError)
    check_text("on_error", on_error)
    if on_error not in known:
        raise ConfigError(f"on_error is {on_error!r}", remedy=suggestion(on_error, known))


@dataclass(frozen=True)
class Identity:
    """What tells the patches and pixels of each scene from others; all of it JSON can hold."""

    settings: Mapping[str, Any]  # those that hold for every scene, as owl.toml has them
    shared: Sequence[Any]  # the states of files that every scene depends on
    scenes: Mapping[str, Sequence[Any]]  # by scene: its own settings, the states of its own files


@dataclass(frozen=True)
class NamedSource:
    """A source as the options of `init` name it."""

    tables: dict[str, Any]  # of owl.toml: [source], and others that suit it
    failed: tuple[FailedScene, ...] = ()  # what was named and offers no scene


@dataclass(frozen=True)
class Addition(Generic[S]):
    """What was named to join a source."""

    settings: S | None  # of the new scenes alone; None where nothing is new
    present: tuple[str, ...]  # names of the scenes that the source has already
    failed: tuple[FailedScene, ...]


@dataclass(frozen=True)
class Sample:
    """Some scenes of a source, to choose a patch size by."""

    grids: Sequence[SceneGrid] = ()  # none where the patch size is not for anybody to choose
    n_scenes: int = 0  # of the source
    are_embeddings: bool = False  # each pixel tells by itself what is there


class Growth(Protocol[S]):
    """How scenes join a source that a run was made on."""

    def addition(
        self, words: Sequence[str], masks: Sequence[str], on_error: OnError, run_path: Path
    ) -> Addition[S]:
        """Return what ``words`` and ``masks`` name, as the options of `init` have them.

        Raises SourceError where they name nothing, and RunError, which names ``run_path``, where it
        cannot join.
        """

    def open(
        self,
        fresh: S,
        progress: Progress | None,
        on_error: OnError,
        known: Sequence[KnownBand],
    ) -> PoolSource:
        """Open the new scenes alone, with the bands that are known of the others.

        Raises SourceError.

        That they have no patch at all is no error.
        """

    def written(self, text: str, fresh: S) -> str:
        """Return the text of owl.toml with the new scenes in it; raises ConfigError."""


class TiledSettings(Protocol):
    """Settings of a source that is cut into patches by a grid."""

    @property
    def patch_size(self) -> int:
        """Height and width of a patch in pixels."""

    @property
    def stride(self) -> int | None:
        """Pixels from patch to patch; None = the patch size."""

    @property
    def min_valid(self) -> float:
        """Share of valid pixels that a patch needs."""

    @property
    def aoi(self) -> str | None:
        """A vector file; patches whose centre lies outside its polygons are left out."""


@dataclass(frozen=True)
class UnopenedSource(ABC, Generic[S]):
    """A source as its settings describe it, with paths that hold from anywhere."""

    settings: S

    # --- on the command line ----------------------------------------------------------------------

    options: ClassVar[tuple[str, ...]] = ("scenes",)  # parameters of `init` that it understands
    takes_many_scenes: ClassVar[bool] = False

    @classmethod
    def named(cls, kind: str, options: Mapping[str, Any]) -> NamedSource:
        """Return the tables of owl.toml that the options of `init`, by parameter, stand for.

        Options that were not given are None or empty. A setting is called as its option is; the one
        scene of a source that takes no more is its ``path``, and ``name`` where it is given one.
        Raises SourceError for what names nothing.
        """
        values = {name: options[name] for name in cls.options if name in options}
        if "scenes" in values:
            values["name"], values["path"] = _name_and_path("".join(values.pop("scenes")))
        given = {name: value for name, value in values.items() if value not in (None, "", ())}
        return NamedSource({"source": {"kind": kind} | given})

    # --- its files --------------------------------------------------------------------------------

    @property
    @abstractmethod
    def files(self) -> Mapping[str, Sequence[str]]:
        """The paths or URLs of the files and folders that each scene is made of, by scene.

        Where one changes, the scene has changed. A source that is made of nothing has none.
        """

    def files_in(self, folder: Path) -> Iterable[Path]:
        """Return those files in one of its folders that tell whether a scene has changed."""
        return visible_files(folder)

    def identity(self, as_written: S) -> Identity:
        """Return what tells its scenes from others.

        ``as_written`` are the same settings with paths as owl.toml has them, so that a run that is
        moved with its files has the same scenes.
        """
        states = {name: [file_states(path) for path in paths] for name, paths in self.files.items()}
        return Identity(as_written.model_dump(mode="json"), [], states)

    def anywhere(self) -> dict[str, Any]:
        """Return the settings as JSON has them, the same wherever on this machine the files lie."""
        values: dict[str, Any] = with_files(
            type(self.settings),
            self.settings.model_dump(mode="json"),
            lambda _setting, path: "a file" if is_local(path) else path,
        )
        return values

    # --- before a run is made ---------------------------------------------------------------------

    @property
    def tiling(self) -> TiledSettings | None:
        """How it is cut into patches; None where its patches are given."""
        return None

    @property
    def same_ground(self) -> SameGround:
        """From which of its scenes ground is taken that several of them show."""
        return "keep"

    def windows(self, source: PatchSource) -> PoolWindows:
        """Return the patches that it has at most, without looking at pixels.

        Of a grid those with their centre in the area of interest.
        """
        if self.tiling is not None:
            from owl_geo.sources.area import windows_in_area

            return windows_in_area(source.grids, self.tiling)
        from owl_geo.sources.base import windows_of

        return windows_of(source)

    def sample(self) -> Sample:
        """Return some of its scenes; raises SourceError."""
        return Sample()

    def notes(self) -> list[str]:
        """Return what a beginner might wonder at; each ends in the options that would change it."""
        return []

    # --- opening ----------------------------------------------------------------------------------

    @abstractmethod
    def open(
        self,
        index: pd.DataFrame | None = None,
        progress: Progress | None = None,
        on_error: OnError = "fail",
    ) -> PoolSource:
        """Open it; see ``sources.open_source``.

        With ``on_error="skip"`` scenes that cannot be read or lack a band are left out, where there
        are others; see ``PoolSource.failed``. Raises SourceError.
        """

    def open_again(
        self,
        index: pd.DataFrame | None,
        known: Sequence[KnownBand],
        grids: Mapping[str, SceneGrid] | None = None,
    ) -> PoolSource:
        """Open it for a run that was made with the bands that are ``known``, in that order.

        They are found by what is known of them, whatever ``open`` would take today. ``grids`` are
        those that the run was made with, for a source where looking again would take long. Raises
        SourceError.
        """
        return self.open(index)

    def open_in_part(
        self, index: pd.DataFrame, grids: Mapping[str, SceneGrid], bands: Sequence[KnownBand]
    ) -> tuple[PoolSource, Mapping[str, str]] | None:
        """Open the scenes that can be, where not all can; return why not the others, by scene.

        The source has the whole ``index``, the ``grids`` and the ``bands``; to read a patch of a
        scene that is missing is a SourceError. None where there is no such part.
        """
        return None

    def without(self, scenes: Collection[str]) -> S:
        """Return the settings without some scenes; never without all."""
        if scenes:
            raise ValueError(f"no scene of {type(self.settings).__name__} can be left out")
        return self.settings

    @property
    def growth(self) -> Growth[S] | None:
        """How scenes can join it; None where none can."""
        return None


def without_paths(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table of scenes or a cube with "a file" in place of local paths but the area's.

    So the digests of older runs have it, also where a table has no files.
    """
    table = dict(table)
    for key in ("path", "mask"):
        if table.get(key):
            table[key] = _placeless(table[key])
    table["files"] = [_placeless(path) for path in table.get("files", ())]
    return table


def _placeless(path: str) -> str:
    return "a file" if is_local(path) else with_file(path, _placeless)


def _name_and_path(word: str) -> tuple[str, str]:
    """Split ``NAME=PATH``; without a name, or where the whole is a path, the name is empty."""
    if "=" in word.split("://")[0] and not Path(word).exists():
        name, _, path = word.partition("=")
        return name, path
    return "", word
