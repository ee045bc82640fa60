"""Who was forgotten, without a name: what keeps a later load from bringing the customer back.

``raw.forgotten`` holds salted digests. The salt stays in the home, apart from the database, so
that nobody who reads the database can try customer ids against it.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from python_ml.errors import InputError

SALT_FILE = "forgotten.salt"

CREATE_REGISTER = """
create table if not exists raw.forgotten (
    forgotten_at timestamp not null, rows_deleted bigint not null, digest text not null
)
"""

_CELL = re.compile(r"(?:^|[;,\t|])\s*(?:customer_id=)?\"?([^;,\t|\"]*)")

Read = Callable[[str], pa.Table]


@dataclass(frozen=True)
class Forgotten:
    """The customers that a home has forgotten.

    Parameters
    ----------
    salt
        The home's salt.
    digests
        What ``raw.forgotten`` holds.
    """

    salt: str
    digests: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.digests)

    def __repr__(self) -> str:
        return f"Forgotten({len(self.digests)} customers)"

    def is_forgotten(self, customer_id: str) -> bool:
        """Whether this customer was forgotten."""
        return bool(self.digests) and digest_of(self.salt, customer_id) in self.digests

    def without(self, rows: pa.Table, column: str = "customer_id") -> tuple[pa.Table, int]:
        """Leave out the rows of forgotten customers, and say how many those were.

        Each customer of the rows is hashed once; a home that forgot nobody pays nothing.
        """
        if not self.digests or column not in rows.schema.names:
            return rows, 0
        ids = rows.column(column).cast(pa.string())
        gone = [one for one in pc.unique(ids).to_pylist() if one and self.is_forgotten(one)]
        if not gone:
            return rows, 0
        kept = rows.filter(pc.invert(pc.is_in(ids, pa.array(gone, pa.string()))))
        return kept, rows.num_rows - kept.num_rows

    def is_named_in(self, row_text: str) -> bool:
        """Whether the text of a rejected row holds a forgotten customer as one of its cells.

        Both forms are understood: ``name=value; name=value`` and the bare line of a CSV file.
        """
        if not self.digests:
            return False
        return any(self.is_forgotten(cell.strip()) for cell in _CELL.findall(row_text) if cell)


def read_forgotten(read: Read, home: Path) -> Forgotten:
    """Read the register.

    Parameters
    ----------
    read
        ``Warehouse.read``, or ``BulkWriter.read`` to see it inside a transaction.

    Raises
    ------
    InputError
        When customers were forgotten and the salt that tells who is lost or another one.
    """
    exists = read("select to_regclass('raw.forgotten') is not null").column(0)[0].as_py()
    held = read("select digest from raw.forgotten").column(0).to_pylist() if exists else []
    if not held:
        return Forgotten("", frozenset())
    path = home / SALT_FILE
    salt = path.read_text(encoding="ascii").strip() if path.is_file() else ""
    if not all(str(digest).startswith(_mark_of(salt)) for digest in held):
        raise InputError(
            f"This home has forgotten customers, and {path} is "
            + ("missing" if not salt else "not the one that they were recorded with")
            + ": a load could bring them back without anybody noticing.",
            f"Bring {path} back from a backup. If there is none, empty raw.forgotten in "
            "`smartretail db shell`; customers who come back are then to be forgotten again.",
        )
    return Forgotten(salt, frozenset(str(digest) for digest in held))


def own_salt(home: Path) -> str:
    """The home's salt; made at the first use, readable by its owner alone."""
    path = home / SALT_FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))
        file.flush()
        os.fsync(file.fileno())
    return path.read_text(encoding="ascii").strip()


def digest_of(salt: str, customer_id: str) -> str:
    """What the register keeps of a customer: which salt, and the salted hash."""
    return _mark_of(salt) + hashlib.sha256((salt + customer_id).encode()).hexdigest()


def _mark_of(salt: str) -> str:
    """Tells salts apart: with the wrong one nobody would be found, in silence."""
    return hashlib.sha256(b"salt " + salt.encode()).hexdigest()[:8] + ":"
