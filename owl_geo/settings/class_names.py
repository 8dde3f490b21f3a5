"""Which names classes may have, at the beginning of a run and later, and which is searched for.

Runs that were made before the rule are opened as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from owl_geo.errors import ConfigError, Fault
from owl_geo.schema import RESERVED_LABELS

POSITIVE = "present"  # the class that is searched for where classes are not named


def searched_for(classes: Sequence[str]) -> str:
    """Return the class that is searched for where nobody says which: ``POSITIVE``, or the last."""
    return POSITIVE if POSITIVE in classes or not classes else classes[-1]


def check_new_classes(classes: Sequence[str]) -> None:
    """Raise ConfigError where the classes of a new run have a name that cannot be added."""
    for number, name in enumerate(classes):
        fault = fault_of_class(name, classes[:number])
        if fault is not None:
            raise ConfigError(f"classes: {fault.what}", remedy=fault.remedy)


def fault_of_class(name: str, others: Sequence[str]) -> Fault | None:
    """Return why a name cannot join other classes, of which people could not tell it apart."""
    if "," in name:
        what = f"{name!r} has a comma, which separates classes elsewhere"
        return Fault(what, "name one class at a time")
    folded = name.strip().casefold()
    twin = next((o for o in (*others, *RESERVED_LABELS) if o.strip().casefold() == folded), None)
    if twin is not None:
        same = "there is already" if twin == name else "it differs in case or blanks only from"
        kind = "the reserved word" if twin in RESERVED_LABELS else "the class"
        return Fault(f"{name!r} cannot be a class: {same} {kind} {twin!r}", "choose another name")
    if name != name.strip():
        return Fault(f"the class {name!r} begins or ends with a blank", "leave it out")
    return None
