"""Where a batch is: in a file, or as a layer of a team's database."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from qgis.core import QgsDataSourceUri
from qgis.PyQt.QtCore import QCoreApplication

from .errors import Problem

translate = QCoreApplication.translate

SCHEMA = "owl_geo"
_SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True)
class SharedPlace:
    """A layer of a team's database, without a password: libpq finds that as it does elsewhere.

    ``layer`` is empty if the database itself is meant.
    """

    host: str
    port: str
    database: str
    user: str
    service: str
    layer: str

    @classmethod
    def parse(cls, text: str) -> SharedPlace:
        """Read ``postgresql://HOST:PORT/DB?layer=...``, as ``owl-geo query`` prints it.

        Raises Problem for anything else, and for an address with a password.
        """
        hint = translate(
            "OwlGeo",
            "{text} is not the address of a batch in a database; such an address looks like "
            "postgresql://HOST/DB?layer=batch_...",
        )
        # a password is not shown, not even to say that it does not belong there
        shown = text.strip() if "@" not in text and "password" not in text else "this"
        problem = Problem(hint.format(text=shown))
        try:
            parts = urlsplit(text.strip())
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            port = parts.port
        except ValueError as error:
            raise problem from error
        if parts.scheme not in _SCHEMES:
            raise problem
        if parts.password is not None or "password" in query:
            raise Problem(
                translate(
                    "OwlGeo",
                    "leave the password out of the address; it is read from ~/.pgpass or "
                    "PGPASSWORD, or QGIS asks for it",
                )
            )
        return cls(
            host=unquote(parts.hostname or "") or query.get("host", ""),
            port=str(port or query.get("port", "")),
            database=unquote(parts.path.lstrip("/")) or query.get("dbname", ""),
            user=unquote(parts.username or "") or query.get("user", ""),
            service=query.get("service", ""),
            layer=query.get("layer", ""),
        )

    def with_layer(self, layer: str) -> SharedPlace:
        """Return another layer of the same database."""
        return SharedPlace(self.host, self.port, self.database, self.user, self.service, layer)

    def uri(self, table: str, geometry: str, key: str) -> QgsDataSourceUri:
        """Return how QGIS opens a table of the store."""
        uri = QgsDataSourceUri()
        if self.service:
            uri.setConnection(self.service, self.database, self.user, "")
        else:
            uri.setConnection(self.host, self.port, self.database, self.user, "")
        uri.setDataSource(SCHEMA, table, geometry, "", key)
        return uri

    def layer_uri(self) -> str:
        """Return how QGIS opens this layer, with all of its patches."""
        return self.uri(self.layer, "geom", "fid").uri(False)

    def is_source(self, source: str, user: str) -> bool:
        """Whether a source of QGIS is this layer, filtered or not, as this user sees it."""
        there, here = QgsDataSourceUri(source), self.uri(self.layer, "geom", "fid")
        return there.username() in ("", user) and _where(there) == _where(here)

    def __str__(self) -> str:
        where = self.service or f"{self.host}/{self.database}"
        return f"{self.layer} ({where})" if self.layer else where


def is_shared(text: str) -> bool:
    """Whether a text is the address of a database."""
    scheme, colon, _ = text.partition(":")
    return bool(colon) and scheme.lower() in _SCHEMES


def _where(uri: QgsDataSourceUri) -> tuple[str, ...]:
    """Return the parts of a source that say which table it is."""
    server = (uri.service(),) if uri.service() else (uri.host(), uri.port() or "5432")
    return (*server, uri.database(), uri.schema(), uri.table())
