"""What every request passes before anything is done for it: host, key, rate, size."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from python_ml.api.keys import KeyRing
from python_ml.api.limits import RateLimit
from python_ml.api.meters import Meters
from python_ml.api.problems import Problem

log = logging.getLogger(__name__)

OPEN = ("/health", "/ready", "/openapi.json")
"""Addresses that need no key: they say nothing of the shop."""
PROBLEMS = "/problems/"
Headers = Mapping[bytes, bytes]


class Gate:
    """The outermost layer of the application.

    Parameters
    ----------
    keys
        Keys that are asked for; None where the server listens on loopback and asks for none.
    hosts
        Names of hosts that are answered to; None for any. On loopback without keys it keeps web
        pages out that point a name of theirs at 127.0.0.1.
    most_bytes
        Size of a body at most.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyRing | None,
        hosts: frozenset[str] | None,
        rate: RateLimit,
        most_bytes: int,
        meters: Meters,
    ) -> None:
        self._app = app
        self._keys = keys
        self._hosts = hosts
        self._rate = rate
        self._most_bytes = most_bytes
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer with what is wrong."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, self._bounded(receive), answer)
        except Problem as problem:
            await problem.response()(scope, receive, answer)
        except Exception:
            number = secrets.token_hex(6)
            log.exception("request %s failed", number)
            if status == 0:
                document = Problem(
                    "internal-error",
                    "This should not have happened.",
                    more={"instance": f"/errors/{number}"},
                )
                await document.response()(scope, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path_format", "none")
            self._meters.count(scope["method"], route, status, time.perf_counter() - started)

    def _check(self, scope: Scope) -> None:
        headers: Headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if self._hosts is not None and name.strip("[]").lower() not in self._hosts:
            raise Problem("wrong-host", "The header Host names another server.")
        if scope["path"] in OPEN or scope["path"].startswith(PROBLEMS):
            return
        client = scope.get("client")
        caller = f"host {client[0] if client else 'unknown'}"
        if self._keys is not None:
            caller = self._known(self._keys, headers, caller, _scope_needed(scope))
        self._take(caller)
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self._most_bytes:
            raise Problem("too-large", f"A body may have {self._most_bytes:,} bytes.")

    def _known(self, keys: KeyRing, headers: Headers, caller: str, needed: str) -> str:
        """The caller by their key; strangers are counted by where they come from."""
        challenge = {"WWW-Authenticate": "Bearer"}
        scheme, _, shown = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            shown = headers.get(b"x-api-key", b"").decode("latin-1")
        if not shown.strip():
            self._take(caller)
            raise Problem("missing-key", "The request shows no API key.", challenge)
        key = keys.find(shown.strip())
        if key is None:
            self._take(caller)
            raise Problem("wrong-key", "The API key is not one of this home's.", challenge)
        if needed not in key.scopes:
            self._take(caller)
            raise Problem(
                "scope-missing", f"This needs the scope {needed}; the key has {_all(key.scopes)}."
            )
        return f"key {key.key_id}"

    def _take(self, caller: str) -> None:
        wait = self._rate.wait_seconds(caller)
        if wait > 0:
            seconds = str(max(1, round(wait + 0.5)))
            raise Problem(
                "too-many-requests", "More than this caller may ask.", {"Retry-After": seconds}
            )

    def _bounded(self, receive: Receive) -> Receive:
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._most_bytes:
                raise HTTPException(413, f"A body may have {self._most_bytes:,} bytes.")
            return message

        return bounded


def _scope_needed(scope: Scope) -> str:
    return "score" if scope["method"] == "POST" else "read"


def _all(scopes: tuple[str, ...]) -> str:
    return ", ".join(scopes) or "none"
