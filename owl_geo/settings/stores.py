"""The label stores that ``labels`` of owl.toml may name; each kind is registered here, once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus


@dataclass(frozen=True)
class StoreChoice:
    """A kind of label store.

    Args:
        home: the subclass of ``LabelStore``, for ``implementation``.
        system: the name that people know it by.
        address: the form of its addresses, as help and error messages show it.
    """

    home: str
    system: str
    address: str


_POSTGIS = StoreChoice("owl_geo.labels.postgis:PostGISLabels", "PostgreSQL", "postgresql://HOST/DB")

# By the scheme of the address; without an address, answers are kept in the run's folder.
STORES: dict[str | None, StoreChoice] = {
    None: StoreChoice("owl_geo.labels.geopackage:GeoPackageLabels", "GeoPackage", "labels.gpkg"),
    "postgresql": _POSTGIS,
    "postgres": _POSTGIS,  # libpq accepts both
}

_SECRETS = (  # parameters that are secrets themselves; libpq's passfile only points to one
    *("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"),
)


def store_choice(address: str | None) -> StoreChoice:
    """Return the kind of store that an address names; KeyError where none is registered."""
    return STORES[None if address is None else address.partition("://")[0]]


def known_addresses() -> str:
    """Return the forms that an address may have: ``postgresql://HOST/DB``."""
    return " or ".join(choice.address for choice in _with_address())


def check_address(url: str) -> None:
    """Raise ValueError unless ``url`` is the address of a label store without a password in it.

    The message does not show the address. Text before an @ that contains a colon counts as user
    and password, since a password may hold any character; an @ elsewhere must be written as %40.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in STORES or not url.isprintable() or " " in url:
        forms = " or ".join(f"{choice.system}, {choice.address}" for choice in _with_address())
        raise ValueError(f"it is not an address of {forms}")
    before_at = unquote_plus(rest.rpartition("@")[0])
    parameters = [part.partition("=")[0] for part in re.split("[?&]", rest)[1:]]
    if ":" in before_at or any(unquote_plus(name).strip() in _SECRETS for name in parameters):
        raise ValueError(
            "the address holds a password; take it out, and set it in PGPASSWORD, ~/.pgpass or "
            "pg_service.conf (write an @ that does not end a user name as %40)"
        )


def _with_address() -> list[StoreChoice]:
    choices = [choice for scheme, choice in STORES.items() if scheme is not None]
    return list(dict.fromkeys(choices))
