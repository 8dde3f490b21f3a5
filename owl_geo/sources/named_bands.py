"""How a person names bands and files: as options for the pool's scenes, in owl.toml for a view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_VIEW: ContextVar[str | None] = ContextVar("view", default=None)


@contextmanager
def of_view(name: str) -> Iterator[None]:
    """Let advice name the bands of a view as long as its scenes are opened."""
    token = _VIEW.set(name)
    try:
        yield
    finally:
        _VIEW.reset(token)


def in_a_view() -> bool:
    """Whether the bands in question are those of a view."""
    return _VIEW.get() is not None


def setting() -> str:
    """Return what names bands: ``--bands``, or ``bands under [views.before] in owl.toml``."""
    view = _VIEW.get()
    return "--bands" if view is None else f"bands under [views.{view}] in owl.toml"


def naming(bands: Sequence[str], *, further: bool = False) -> str:
    """Return how to name bands, besides others where they are ``further`` ones.

    ``--bands red,nir``, or ``bands = ["red", "nir"] under [views.before] in owl.toml``.
    """
    view = _VIEW.get()
    if view is None:
        return f"--bands {','.join(['...'] * further + list(bands))}"
    listed = ", ".join(["..."] * further + [f'"{band}"' for band in bands])
    return f"bands = [{listed}] under [views.{view}] in owl.toml"


def taking(path: object) -> str:
    """Return how to take a file or folder: by an option, or as the ``path`` of a view's scene."""
    view = _VIEW.get()
    if view is None:
        return f"--scene {path}"
    return f'path = "{path}" under [[views.{view}.scenes]] in owl.toml'
