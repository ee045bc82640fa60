"""API keys: shown once, kept as a hash, each with scopes.

A key is 256 random bits, so a plain SHA-256 of it cannot be turned back; nothing slower is needed.
The file is read again when it changes: a revoked key stops at once, without a restart.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from python_ml.errors import InputError
from python_ml.warehouse.roles import write_private

SCOPES = ("read", "score")
FILE = "api_keys.json"
_PREFIX = "sr"


@dataclass(frozen=True)
class Key:
    """A key, without the key itself."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    digest: str
    made_at: str


class KeyRing:
    """The keys of a home."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE
        self._read_at: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}

    def keys(self) -> list[Key]:
        """All keys that hold, oldest first."""
        self._refresh()
        return sorted(self._keys.values(), key=lambda key: key.made_at)

    def add(self, name: str, scopes: Sequence[str]) -> str:
        """Make a key and return it: the only time that it is seen.

        Raises
        ------
        InputError
            When a scope is unknown, or none is given.
        """
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not scopes:
            raise InputError(
                f"Unknown scope: {', '.join(unknown) or 'none'}.", f"Choose of {', '.join(SCOPES)}."
            )
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        key = f"{_PREFIX}_{key_id}_{secret}"
        self._refresh()
        made = Key(
            key_id,
            name,
            tuple(scope for scope in SCOPES if scope in scopes),
            _digest(key),
            datetime.now(UTC).isoformat(timespec="microseconds"),
        )
        self._write({**self._keys, key_id: made})
        return key

    def revoke(self, key_id: str) -> Key:
        """Take a key away.

        Raises
        ------
        InputError
            When there is none of that id.
        """
        self._refresh()
        if key_id not in self._keys:
            raise InputError(f"There is no key {key_id}.", "See `smartretail keys list`.")
        rest = dict(self._keys)
        gone = rest.pop(key_id)
        self._write(rest)
        return gone

    def find(self, key: str) -> Key | None:
        """The key that somebody showed, if it is one of ours."""
        self._refresh()
        parts = key.split("_", 2)
        known = self._keys.get(parts[1]) if len(parts) == 3 else None  # noqa: PLR2004
        digest = known.digest if known else _digest("")
        # compared in any case, so that the time tells nothing of which ids exist
        same = hmac.compare_digest(digest, _digest(key))
        return known if same and known else None

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._keys, self._read_at = {}, None
            return
        mark = (found.st_mtime_ns, found.st_ino)
        if mark != self._read_at:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            self._keys = {
                entry["key_id"]: Key(**{**entry, "scopes": tuple(entry["scopes"])})
                for entry in content
            }
            self._read_at = mark

    def _write(self, keys: dict[str, Key]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_private(self._path, json.dumps([asdict(key) for key in keys.values()], indent=1))
        self._refresh()


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
