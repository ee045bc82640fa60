"""The commands of the API: serve, keys."""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Annotated

import typer
from rich.table import Table

from python_ml.api.keys import SCOPES, KeyRing
from python_ml.cli.console import Home, err, open_pipeline, out
from python_ml.errors import InputError
from python_ml.settings import load_settings

app = typer.Typer(no_args_is_help=True)
keys_app = typer.Typer(help="Keys of the API: shown once, kept as a hash.", no_args_is_help=True)

HERE = frozenset({"127.0.0.1", "localhost", "::1"})


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on. Beyond loopback, keys are asked for.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8000,
    require_keys: Annotated[
        bool,
        typer.Option("--require-keys", help="Ask for keys on loopback too: behind a proxy."),
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="Name of a host to answer to; may be repeated."),
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0.1, help="Requests per second of each caller.")
    ] = 1_000.0,
    most_bytes: Annotated[
        int, typer.Option("--max-body", min=1_000, help="Size of a body at most, in bytes.")
    ] = 1_000_000,
    home: Home = None,
) -> None:
    """Answer over HTTP: what is published, and scores of what is asked. Ends with Ctrl-C.

    GET /openapi.json describes every address. A run that is published while it serves is
    answered from a second later.

    Examples:

        smartretail serve

        smartretail keys add --name shop-front && smartretail serve --host 0.0.0.0 --port 8080
    """
    import uvicorn  # noqa: PLC0415 - with FastAPI it takes a second

    from python_ml.api.app import create_app  # noqa: PLC0415

    pipeline = open_pipeline(home, quiet=True)
    beyond = not _is_loopback(host)
    ring = KeyRing(pipeline.settings.home) if beyond or require_keys else None
    if ring is not None and not ring.keys():
        raise InputError(
            f"Beyond loopback ({host}) every request needs a key, and this home has none."
            if beyond
            else "Keys are asked for, and this home has none.",
            f"Make one: smartretail keys add --name NAME{pipeline.settings.home_option}",
        )
    hosts = frozenset(name.lower() for name in allow_host or ())
    if ring is None:
        hosts |= HERE | {host.lower()}
    application = create_app(
        pipeline.settings,
        pipeline.warehouse,
        pipeline.staging,
        keys=ring,
        hosts=hosts or None,
        rate=rate,
        most_bytes=most_bytes,
    )
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=10,
    )
    server = uvicorn.Server(config)
    listening = _listen(host, port, config.backlog)  # who comes from now on is answered
    bound = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    err.print(f"Listening on http://{shown}:{bound}", highlight=False, markup=False)
    err.print("Every request needs a key." if ring else "No keys are asked for on loopback.")
    server.run(sockets=[listening])


@keys_app.command()
def add(
    name: Annotated[str, typer.Option(help="Whose key it is, for the list.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="read (look-ups) or score; may be repeated [default: both]."),
    ] = None,
    home: Home = None,
) -> None:
    """Make a key and print it, once.

    Example: smartretail keys add --name shop-front --scope read
    """
    ring = KeyRing(load_settings(home=home).home)
    typer.echo(ring.add(name, scope or SCOPES))
    err.print("Keep it: only its hash stays here.")


@keys_app.command("list")
def list_(home: Home = None) -> None:
    """List the keys that hold."""
    table = Table("id", "name", "scopes", "made")
    for key in KeyRing(load_settings(home=home).home).keys():  # noqa: SIM118 - no dictionary
        table.add_row(key.key_id, key.name, ", ".join(key.scopes), key.made_at[:16])
    out.print(table)


@keys_app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id of the key, from `keys list`.")],
    home: Home = None,
) -> None:
    """Take a key away; a server that runs refuses it from then on."""
    gone = KeyRing(load_settings(home=home).home).revoke(key_id)
    err.print(f"The key {gone.key_id} of {gone.name} holds no more.", markup=False)


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    """Listen on an address.

    The protocol is named: asyncio switches Nagle's delay off only where it is, and an answer in two
    packets would wait 40 ms for the first to be acknowledged.

    Raises
    ------
    InputError
        When the address is not ours, or in use.
    """
    try:
        [(family, kind, _, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
        listening = socket.socket(family, kind, socket.IPPROTO_TCP)
        if sys.platform != "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(backlog)
    except OSError as error:
        raise InputError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}.",
            "Choose another --port, or an address of this machine.",
        ) from None
    return listening


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
