"""A PostgreSQL server with PostGIS for tests: a real one, in a temporary folder, on loopback.

Without its programs the tests skip, and say so; with OWL_REQUIRE_POSTGIS=1 they fail. PostgreSQL
refuses to run as root, so there it runs as the user ``postgres``.
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from chosen import CONCEPTS, chosen_patches

from owl_geo.batches import batch_style, read_table, write_batch
from owl_geo.labels.administration import add_annotator, register, set_up
from owl_geo.labels.database import Database
from owl_geo.labels.publishing import publish
from owl_geo.labels.sharing import BatchLayer
from owl_geo.schema import EDITABLE_COLUMNS

ADMIN = "keeper"  # owns the stores; no superuser
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """A running server; ``folder`` holds its data, its log and its socket."""

    folder: Path
    port: int
    password: str  # of every role that the tests make
    bin: Path

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def url(self, database: str, **parameters: str) -> str:
        """The address of a database, without a password."""
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"postgresql://127.0.0.1:{self.port}/{database}" + (f"?{query}" if query else "")

    def environment(self, user: str = ADMIN) -> dict[str, str]:
        """What a process of ``user`` has in its environment."""
        return {"PGUSER": user, "PGPASSWORD": self.password}

    def connect(self, database: str, user: str = ADMIN) -> Any:
        """A connection of a role's own, as QGIS would have one; each statement for itself."""
        import psycopg

        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            dbname=database,
            user=user,
            password=self.password,
            autocommit=True,
        )

    def new_database(self) -> str:
        """Make an empty database with PostGIS that belongs to ADMIN."""
        name = f"team{next(_NUMBERS)}"
        with self.connect("postgres", "postgres") as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {ADMIN} TEMPLATE with_postgis")
        return name

    def restart(self) -> None:
        """Break every connection off and come back."""
        self.control("restart", "-m", "immediate")

    def command(self) -> list[str]:
        """What starts and stops it, with the words start, stop or restart behind it."""
        data = str(self.folder / "data")
        return _as_server(str(self.bin / "pg_ctl"), "-D", data, "-l", str(self.log), "-w")

    def control(self, *words: str) -> None:
        _do(*self.command(), *words)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The server that all tests share."""
    if find_spec("psycopg") is None:
        _missing("the extra postgis is not installed")
    if not _PROGRAMS or not hasattr(os, "geteuid"):
        _missing("PostgreSQL's programs are not in /usr/lib/postgresql")
    # not pytest's own folder, into which the user postgres may not look
    folder = Path(tempfile.mkdtemp(prefix="owl-pg-"))
    try:
        made = _start(folder)
        yield made
        made.control("stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def keeper(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process, and those it starts, are the store's keeper."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def team(server: Server, keeper: None) -> Iterator[Database]:
    """A label store without runs, in a database of its own."""
    database = Database(server.url(server.new_database()))
    set_up(database)
    yield database
    database.close()


@pytest.fixture(scope="session")
def store_of_all_tests(server: Server) -> Iterator[Database]:
    """A label store for tests that make runs of their own in it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        database = Database(server.url(server.new_database()))
        set_up(database)
        yield database
        database.close()


@pytest.fixture
def annotators(server: Server, team: Database) -> Callable[..., None]:
    """Call with names to let them label; their password is the server's."""

    def add(*names: str) -> None:
        for name in names:
            add_annotator(team, name, server.password)

    return add


def database_name(database: Database) -> str:
    return database.url.rpartition("/")[2].partition("?")[0]


def new_run(database: Database, **further: Any) -> str:
    """Make a run known and return its id."""
    run_id = secrets.token_hex(4)
    register(database, run_id, ("absent", "present"), "present", **further)
    return run_id


def publish_patches(
    database: Database,
    run_id: str,
    folder: Path,
    *,
    n: int = 4,
    number: int = 0,
    shared: Iterable[int] = (),
    n_annotators: int = 1,
    crs: str = "EPSG:32631",
    **corner: Any,
) -> str:
    """Publish a batch of ``n`` patches, some of them shared; return the view's name, quoted."""
    patches = chosen_patches(n, crs=crs, **corner)
    ids = patches["patch_id"].tolist()
    batch_id = f"{run_id}-{number:03d}"
    path = folder / f"{batch_id}.gpkg"
    write_batch(
        path,
        patches,
        classes=("absent", "present"),
        positive="present",
        concepts=CONCEPTS,
        batch_id=batch_id,
        round=number,
    )
    table = read_table(path)
    columns = [*table.kinds, *EDITABLE_COLUMNS, "lease"]
    layer = BatchLayer(
        run_id,
        batch_id,
        number,
        table.info,
        table.kinds,
        table.fids,
        table.rows,
        table.polygons,
        table.crs,
        batch_style(columns, ("absent", "present"), "present", CONCEPTS),
    )
    publish(database, layer, shared={ids[i] for i in shared}, n_annotators=n_annotators)
    return f'owl_geo."{layer.name}"'


def _missing(message: str) -> None:
    if os.environ.get("OWL_REQUIRE_POSTGIS") == "1":
        pytest.fail(message)
    pytest.skip(message)


def _start(folder: Path) -> Server:
    server = Server(folder, _free_port(), secrets.token_urlsafe(16), _PROGRAMS[-1].parent)
    if os.geteuid() == 0:
        import pwd  # which Windows has not

        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
    secret = folder / "password"
    secret.write_text(server.password, encoding="utf-8")
    secret.chmod(0o644)  # the folder itself is closed to others
    data = folder / "data"
    initdb = (str(server.bin / "initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8")
    _do(
        *_as_server(*initdb),
        *("--locale=C.UTF-8", "-A", "scram-sha-256", "--pwfile", str(secret), "--no-sync"),
    )
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(
            f"port = {server.port}\nlisten_addresses = '127.0.0.1'\n"
            f"unix_socket_directories = '{folder}'\nfsync = off\nfull_page_writes = off\n"
            "log_statement = all\nlog_min_error_statement = debug1\nmax_connections = 60\n"
            "shared_buffers = 32MB\nlog_connections = on\n"
        )
    server.control("start")
    with server.connect("postgres", "postgres") as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'"
        ).fetchone()
        if found is None:
            server.control("stop", "-m", "immediate")
            _missing("PostgreSQL is here, PostGIS is not")
        connection.execute(f"CREATE ROLE {ADMIN} LOGIN CREATEROLE PASSWORD '{server.password}'")
        connection.execute("CREATE DATABASE with_postgis")
    with server.connect("with_postgis", "postgres") as connection:
        connection.execute("CREATE EXTENSION postgis")
    return server


def _as_server(*command: str) -> list[str]:
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    return [*as_user, *command]


def _do(*command: str) -> None:
    with tempfile.TemporaryFile() as output:  # not a pipe, which the server would inherit
        done = subprocess.run(command, stdout=output, stderr=output, cwd="/")
        output.seek(0)
        assert done.returncode == 0, output.read().decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
