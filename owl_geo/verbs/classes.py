"""A further class of a run, while the search goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from owl_geo.errors import ConfigError, check_text
from owl_geo.run_folder import setup as run_setup
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.settings import owl_toml
from owl_geo.settings.class_names import fault_of_class
from owl_geo.verbs.measure import measure_rest

_LEAST = 2  # classes of a run, so that none of them was added


@dataclass(frozen=True)
class ClassAdded:
    """A run with a further class.

    Args:
        run: the run as it is now.
        waiting: files of a batch that waits for answers, and offers the classes from before.
        had: whether the run had the class already, as its newest one, so that nothing was done.
    """

    run: Run
    waiting: tuple[Path, ...]
    had: bool = False


def add_class(run: AnyRun, name: str) -> ClassAdded:
    """Add a class behind the others, whose numbers, keys and colours stay.

    Answers, rounds and batches stay too, and no batch is written anew: the next one offers the
    class. Models go on from what they have learnt. Where the answers are in a database, it takes
    the class first, so that a command that was killed can be repeated. For the same reason, it is
    no error if the class is the run's newest, behind the two that a run has at least.

    Raises ConfigError for a name that cannot be a class, or is another one; RunError where owl.toml
    has been edited since the run was made, or the database does not allow it. The run is then as it
    was.
    """
    check_text("name", name)
    name = name.strip()  # as --classes and answers from elsewhere are read
    run = Run.of(run)
    with run.locked():
        run = Run(run.path)
        run.index.check_made_from_settings()
        before = run.settings.classes
        if name == before[-1] and len(before) > _LEAST:
            return ClassAdded(run, (), had=True)
        fault = fault_of_class(name, before)
        if fault is not None:
            raise ConfigError(f"{run.path}: {fault.what}", remedy=fault.remedy)
        file = run.path / owl_toml.FILE_NAME
        text = owl_toml.with_class(file.read_text(encoding="utf-8-sig"), before, name)
        settings = owl_toml.parse_text(text, str(file))
        measure_rest(run)  # while the model is still that of the last round
        store = run.label_store(check=False)  # where the database took the class, answers have it
        run.check_ground(store)
        # read before anything is written: answers that cannot be read leave the run as it was
        history, rounds = store.history(), run.rounds()
        waiting = tuple(run.waits(rounds[-1], history)) if rounds else ()
        store.add_class(before, name)
        run = run_setup.with_settings(run, settings, text)
    return ClassAdded(run, waiting)
