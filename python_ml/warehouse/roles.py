"""Roles for those who are no owner: BI reads the marts, a scorer adds scores, neither does more.

Passwords never reach the server as they are: it is sent what it keeps of them, a SCRAM verifier, so
that no log of statements can hold one.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from python_ml.errors import InputError, WarehouseError
from python_ml.warehouse.postgres import Connection, Warehouse

BI_ROLE = "smartretail_bi"
SCORER_ROLE = "smartretail_scorer"
PASSWORDS = "roles.json"
"""File in the home with the passwords that were made here; only its owner may read it."""
NOT_FOR_SCORERS = ("run_events", "feature_builds", "digested_loads")
"""The ledger says what is in force: adding scores is no right to publish them."""
_PLAIN = re.compile("[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Role:
    """What became of one role.

    ``made`` where it was not there before; ``granted`` are the tables or views that it was given;
    ``beyond`` what it can read although nothing here gave it that right.
    """

    name: str
    made: bool
    knows_password: bool
    granted: tuple[str, ...]
    beyond: tuple[str, ...]


def make_roles(
    warehouse: Warehouse, home: Path, bi: str, scorer: str, *, new_passwords: bool = False
) -> tuple[Role, Role]:
    """Make a role that reads the marts and one that adds to the predictions, or mend their rights.

    What is there already stays; a role that exists keeps its password unless a new one is asked
    for. Repeating changes nothing.

    Raises
    ------
    InputError
        When a name is not plain, or that of a role which may do more already.
    WarehouseError
        When we may not make roles.
    """
    for name in (bi, scorer):
        if not _PLAIN.fullmatch(name) or name.startswith("pg_"):
            raise InputError(
                f"{name!r} is no name for a role.", "Use small letters, digits and _ alone."
            )
    if bi == scorer:
        raise InputError("One role cannot be both.", "Name two roles.")
    passwords = _read_passwords(home)
    drawn = {}
    with warehouse.connect() as connection:
        made = {}
        for name in (bi, scorer):
            there = _refuse_powerful(connection, name)
            made[name] = not there
            if not there or new_passwords:
                drawn[name] = secrets.token_urlsafe(24)
                _set_password(connection, name, drawn[name], there=there)
        granted = {
            bi: _grant(connection, warehouse, bi, "marts", right="select"),
            scorer: _grant(
                connection,
                warehouse,
                scorer,
                "predictions",
                right="insert",
                left_out=NOT_FOR_SCORERS,
            ),
        }
        if warehouse.layout.schema is None and granted[bi]:
            # for marts of later versions; with one schema it would open everything in it
            connection.execute(
                sql.SQL("alter default privileges in schema marts grant select on tables to {}")
                .format(sql.Identifier(bi))
            )  # fmt: skip
        beyond = {
            name: _readable_beyond(connection, name, set(granted[name]) if name == bi else set())
            for name in (bi, scorer)
        }
        # kept before they count: a password that nobody knows would have to be drawn anew
        _write_passwords(home, {**passwords, **drawn})
    known = {**passwords, **drawn}
    first, second = (
        Role(name, made[name], name in known, granted[name], beyond[name]) for name in (bi, scorer)
    )
    return first, second


def role_url(url: str, home: Path, role: str) -> str:
    """The database's address for a role that was made here, password included.

    Raises
    ------
    InputError
        When this home does not know its password.
    """
    password = _read_passwords(home).get(role)
    if password is None:
        raise InputError(
            f"This home knows no password of {role}.",
            "Make the role with `smartretail db roles`; "
            "with --new-passwords if it was made elsewhere.",
        )
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role)}:{quote(password)}@{host}"))


def _refuse_powerful(connection: Connection, name: str) -> bool:
    """Whether the role is there; refused where it may do more than we would give it."""
    found = connection.execute(
        "select rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication "
        "or rolname = current_user or exists (select 1 from pg_auth_members where member = oid) "
        "or exists (select 1 from pg_class where relowner = pg_roles.oid) "
        "from pg_roles where rolname = %s",
        (name,),
    ).fetchone()
    if found is not None and found[0]:
        raise InputError(
            f"The role {name} owns tables, belongs to other roles or may do more already.",
            "Name another one with --bi or --scorer.",
        )
    return found is not None


def _set_password(connection: Connection, name: str, password: str, *, there: bool) -> None:
    verifier = connection.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    ).decode()
    verb = sql.SQL("alter role {} password {}" if there else "create role {} login password {}")
    try:
        connection.execute(verb.format(sql.Identifier(name), sql.Literal(verifier)))
    except psycopg.errors.InsufficientPrivilege:
        way_out = (
            "leave out --new-passwords" if there
            else f"ask an administrator to `create role {name} login password …`"
        )  # fmt: skip
        raise WarehouseError(
            f"This user may not {'change' if there else 'make'} the role {name}.",
            f"{way_out[0].upper()}{way_out[1:]}, then run this again.",
        ) from None


def _grant(
    connection: Connection,
    warehouse: Warehouse,
    role: str,
    layer: str,
    *,
    right: str,
    left_out: Iterable[str] = (),
) -> tuple[str, ...]:
    """Give a right on every relation of a layer, and on nothing else."""
    schema, _ = warehouse.layout.place(layer, "")
    rows = connection.execute(
        "select relname::text from pg_class where relnamespace = to_regnamespace(%s) "
        "and relkind in ('r', 'v', 'm', 'p') order by 1",
        (schema,),
    ).fetchall()
    names = []
    for (name,) in rows:
        placed = warehouse.layout.layer_of(schema, name)
        if placed is not None and placed[0] == layer and placed[1] not in left_out:
            names.append(str(name))
    if not names:
        return ()
    to = sql.Identifier(role)
    connection.execute(
        sql.SQL("grant connect on database {} to {}").format(
            sql.Identifier(connection.info.dbname), to
        )
    )
    connection.execute(sql.SQL("grant usage on schema {} to {}").format(sql.Identifier(schema), to))
    _check_ways_in(connection, role, schema)
    for name in names:
        connection.execute(
            sql.SQL("grant {} on table {} to {}").format(
                sql.SQL(right), sql.Identifier(schema, name), to
            )
        )
    return tuple(f"{schema}.{name}" for name in names)


def _check_ways_in(connection: Connection, role: str, schema: str) -> None:
    """Where database and schema belong to somebody else, a grant is a warning and no more."""
    found = connection.execute(
        "select has_database_privilege(%(role)s, current_database(), 'connect'), "
        "has_schema_privilege(%(role)s, %(schema)s, 'usage'), current_database()",
        {"role": role, "schema": schema},
    ).fetchone()
    assert found is not None
    missing = [
        grant
        for allowed, grant in (
            (found[0], f"grant connect on database {found[2]} to {role};"),
            (found[1], f"grant usage on schema {schema} to {role};"),
        )
        if not allowed
    ]
    if missing:
        raise WarehouseError(
            f"This user may not let {role} in: the database or the schema is somebody else's.",
            f"Ask its owner to `{' '.join(missing)}`, then run this again.",
        )


def _readable_beyond(connection: Connection, role: str, given: set[str]) -> tuple[str, ...]:
    """What the role can read beyond what it was given: rights that somebody gave to everyone."""
    rows = connection.execute(
        "select nspname || '.' || relname from pg_class inner join pg_namespace "
        "on pg_namespace.oid = relnamespace where relkind in ('r', 'v', 'm', 'p', 'f') "
        "and nspname not like 'pg\\_%%' and nspname <> 'information_schema' "
        "and has_schema_privilege(%(role)s, pg_namespace.oid, 'usage') "
        "and has_table_privilege(%(role)s, pg_class.oid, 'select') order by 1",
        {"role": role},
    ).fetchall()
    return tuple(str(name) for (name,) in rows if name not in given)


def _read_passwords(home: Path) -> dict[str, str]:
    path = home / PASSWORDS
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return {str(name): str(password) for name, password in content.items()}


def _write_passwords(home: Path, passwords: dict[str, str]) -> None:
    home.mkdir(parents=True, exist_ok=True)
    write_private(home / PASSWORDS, json.dumps(passwords, indent=1) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file that only we may read, as a whole or not at all."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
