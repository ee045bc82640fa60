"""``smartretail db``: the PostgreSQL server of a home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from python_ml.errors import WarehouseError
from python_ml.reporting.sizes import readable_size
from python_ml.settings import Settings, load_settings
from python_ml.warehouse.engines import require_postgres
from python_ml.warehouse.server import (
    EmbeddedServer,
    ServerStatus,
    client_command,
    dump_database,
    restore_database,
)

app = typer.Typer(
    help="Start, stop and reach the database; save it to a file and bring it back.",
    no_args_is_help=True,
)

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of the shop. Default: SMARTRETAIL_HOME, or .smartretail."),
]


def _settings(home: Path | None) -> Settings:
    """Read the settings of a home that has a server."""
    settings = load_settings(home=home)
    require_postgres(settings, "`smartretail db`")
    return settings


def _examples(*lines: str) -> str:
    return "\n\n".join(["Examples:", *lines])


@app.command(epilog=_examples("smartretail db start", "smartretail db start --port 5433"))
def start(
    port: Annotated[
        int | None,
        typer.Option(help="Port on 127.0.0.1, kept from then on.", min=1024, max=65535),
    ] = None,
    home: Home = None,
) -> None:
    """Start the database. The first start makes it; it runs on until `db stop`."""
    settings = _settings(home)
    if _says_outside(settings, "start"):
        return
    server = EmbeddedServer(settings.home)
    server.start(port)
    typer.echo(f"The database is running on 127.0.0.1:{server.status().port}.")


@app.command(epilog=_examples("smartretail db stop", "smartretail db stop --home /srv/shop"))
def stop(home: Home = None) -> None:
    """Stop the database. What was committed stays; open transactions are rolled back."""
    settings = _settings(home)
    if _says_outside(settings, "stop"):
        return
    stopped = EmbeddedServer(settings.home).stop()
    typer.echo("The database is stopped." if stopped else "The database was not running.")


@app.command(epilog=_examples("smartretail db status", "smartretail db status || echo asleep"))
def status(home: Home = None) -> None:
    """Show whether the database runs, where, and how large it is. Exit code 4: it does not run."""
    settings = _settings(home)
    if settings.database_url is not None:
        typer.echo(_outside_status(settings.database_url.get_secret_value()))
        return
    found = EmbeddedServer(settings.home).status()
    typer.echo(_describe(found))
    if not found.running:
        raise typer.Exit(WarehouseError.exit_code)


@app.command(
    epilog=_examples('psql "$(smartretail db url)"', "smartretail db url --role smartretail_bi")
)
def url(
    role: Annotated[
        str | None, typer.Option(help="For a role made by `db roles` [default: the owner].")
    ] = None,
    home: Home = None,
) -> None:
    """Print the address of the database, password included, and nothing else.

    Starts the database when it does not run.
    """
    settings = _settings(home)
    address = _url(settings)
    if role is not None:
        from python_ml.warehouse.roles import role_url  # noqa: PLC0415 - brings psycopg

        address = role_url(address, settings.home, role)
    typer.echo(address)


@app.command(epilog=_examples("smartretail db roles", "smartretail db roles --bi metabase"))
def roles(
    bi: Annotated[str, typer.Option(help="Role that reads the marts.")] = "smartretail_bi",
    scorer: Annotated[
        str, typer.Option(help="Role that adds scores to the predictions.")
    ] = "smartretail_scorer",
    new_passwords: Annotated[
        bool, typer.Option("--new-passwords", help="Draw new passwords for roles that exist.")
    ] = False,
    home: Home = None,
) -> None:
    """Make a role that reads the marts alone, and one that adds to the predictions alone.

    Passwords are drawn here and kept in the home, in a file that only you may read; they are not
    printed. Repeat it after an upgrade: rights are mended, and nothing else changes.
    """
    from python_ml.warehouse.layout import Layout  # noqa: PLC0415
    from python_ml.warehouse.postgres import Warehouse  # noqa: PLC0415
    from python_ml.warehouse.roles import make_roles  # noqa: PLC0415

    settings = _settings(home)
    warehouse = Warehouse(_url(settings), Layout(settings.warehouse_schema))
    found = make_roles(warehouse, settings.home, bi, scorer, new_passwords=new_passwords)
    for role, may in zip(found, ("reads", "adds to"), strict=True):
        what = f"{may} {len(role.granted)} tables or views" if role.granted else (
            "has no rights yet: nothing was published; run this again after `smartretail run`"
        )  # fmt: skip
        typer.echo(f"{role.name} {'was made and ' if role.made else ''}{what}.")
        if role.knows_password:
            typer.echo(f"  address: smartretail db url --role {role.name}{settings.home_option}")
        else:
            typer.echo("  It was there before; its password is as it was.")
        if role.beyond:
            typer.echo(
                f"  Beyond that it can read what everybody can: {', '.join(role.beyond[:5])}"
                f"{' …' if len(role.beyond) > 5 else ''}."  # noqa: PLR2004
            )


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog=_examples("smartretail db shell", 'smartretail db shell -- -c "select 1"'),
)
def shell(context: typer.Context, home: Home = None) -> None:
    """Open psql on the database. What follows `--` goes to psql."""
    settings = _settings(home)
    if settings.database_url is None:
        argv, env = EmbeddedServer(settings.home).shell_command()
    else:
        argv, env = client_command("psql", settings.database_url.get_secret_value())
    sys.stdout.flush()
    _become([*argv, *context.args], env)


@app.command(epilog=_examples("smartretail db dump shop.dump"))
def dump(
    file: Annotated[Path, typer.Argument(help="File to write; replaced once complete.")],
    home: Home = None,
) -> None:
    """Save the whole database to one file, which only you may read."""
    settings = _settings(home)
    if settings.database_url is None:
        EmbeddedServer(settings.home).dump(file)
    else:
        dump_database(settings.database_url.get_secret_value(), file)
    typer.echo(f"Saved the database to {file} ({readable_size(file.expanduser().stat().st_size)}).")


@app.command(
    epilog=_examples("smartretail db restore shop.dump", "smartretail db restore shop.dump --yes")
)
def restore(
    file: Annotated[Path, typer.Argument(help="A file made by `smartretail db dump`.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before replacing tables.")] = False,
    home: Home = None,
) -> None:
    """Bring a saved database back: all of it, or nothing if anything fails.

    Tables in the file replace those of the same name.
    """
    settings = _settings(home)
    if not yes:
        target = _address(settings)
        typer.confirm(f"Replace the tables of {target} by those in {file}?", abort=True)
    if settings.database_url is None:
        EmbeddedServer(settings.home).restore(file)
    else:
        restore_database(settings.database_url.get_secret_value(), file)
    typer.echo(f"Restored {file}.")


def _says_outside(settings: Settings, verb: str) -> bool:
    if settings.database_url is None:
        return False
    typer.echo(
        f"SMARTRETAIL_DATABASE_URL is set: {_address(settings)} is in use, and not ours to {verb}."
    )
    return True


def _url(settings: Settings) -> str:
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return EmbeddedServer(settings.home).ensure_started()


def _address(settings: Settings) -> str:
    """Name the database for people: no user, no password, no options."""
    if settings.database_url is None:
        return f"the database in {settings.home}"
    parts = urlsplit(settings.database_url.get_secret_value())
    return f"the server {parts.netloc.rpartition('@')[2]}{parts.path}"


def _outside_status(address: str) -> str:
    import psycopg  # noqa: PLC0415 - 0.2 s that the other commands do without

    try:
        with psycopg.connect(address, connect_timeout=5) as connection:
            row = connection.execute(
                "select current_setting('server_version'), pg_database_size(current_database())"
            ).fetchone()
            info = connection.info
            where = f"{info.host}:{info.port}, database {info.dbname}, user {info.user}"
    except psycopg.OperationalError as error:
        raise WarehouseError(
            f"The server of SMARTRETAIL_DATABASE_URL cannot be reached: {error}",
            "Check host, port, user and password in SMARTRETAIL_DATABASE_URL.",
        ) from None
    except psycopg.ProgrammingError:  # a wrong address; its message may repeat the password
        raise WarehouseError(
            "SMARTRETAIL_DATABASE_URL is not a valid address.",
            "Write it as postgresql://user:password@host:port/database, special signs as %XX.",
        ) from None
    version, size = row if row is not None else ("?", 0)
    return _lines(
        server="outside (SMARTRETAIL_DATABASE_URL)",
        address=where,
        version=f"PostgreSQL {version}",
        size=readable_size(size),
    )


def _describe(found: ServerStatus) -> str:
    return _lines(
        server=f"running (process {found.pid})" if found.running else "not running",
        address=f"127.0.0.1:{found.port}" if found.port else "chosen at the first start",
        version=f"PostgreSQL {found.version}",
        data=str(found.data_dir),
        size=readable_size(found.size_bytes),
        log=str(found.log_file),
    )


def _lines(**facts: str) -> str:
    return "\n".join(f"{name:<8} {value}" for name, value in facts.items())


def _become(argv: list[str], env: dict[str, str]) -> None:
    """Hand the terminal over to another program."""
    if sys.platform == "win32":  # exec would return to the prompt while the program still reads
        raise typer.Exit(subprocess.run(argv, env=env, check=False).returncode)
    os.execve(argv[0], argv, env)  # noqa: S606 - no shell is wanted
