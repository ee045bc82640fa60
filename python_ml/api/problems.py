"""What can go wrong with a request, each with a document of its own (RFC 9457).

Nothing of the program's inside goes out: no trace, no SQL, no path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """A kind of problem: its name in the address, status, title and what to do about it."""

    slug: str
    status: int
    title: str
    way_out: str


KINDS = {
    kind.slug: kind
    for kind in (
        Kind("unknown-id", 404, "There is no such customer, product or order",
             "Write the id as the shop does. Who was not known at the as-of date has no answer."),
        Kind("no-published-run", 404, "Nothing is published for this",
             "Run `smartretail run`; for another date, see GET /v1/models and `smartretail runs`."),
        Kind("no-such-page", 404, "There is no such address",
             "See /openapi.json for what there is."),
        Kind("method-not-allowed", 405, "This address does not take that method",
             "See /openapi.json; the header Allow says which it takes."),
        Kind("invalid-request", 422, "The request does not fit what is asked for",
             "`errors` says what is wrong and where."),
        Kind("invalid-cursor", 422, "The cursor is not one of ours",
             "Give `after` as it stood in `next`, unchanged; or leave it out to begin again."),
        Kind("missing-key", 401, "An API key is needed",
             "Send the header Authorization: Bearer KEY. `smartretail keys add` makes one."),
        Kind("wrong-key", 401, "This API key is not known",
             "It may have been revoked. `smartretail keys list` shows those that hold."),
        Kind("scope-missing", 403, "This API key does not allow that",
             "Look-ups need the scope `read`, scoring needs `score`."),
        Kind("wrong-host", 403, "The name of the host is not one that this server answers to",
             "Use the address that `smartretail serve` printed."),
        Kind("too-many-requests", 429, "Too many requests",
             "Wait as many seconds as the header Retry-After says."),
        Kind("too-large", 413, "The body is too large", "Send less at once."),
        Kind("no-model", 409, "There is no model that can answer this",
             "`detail` says why. Run `smartretail run`."),
        Kind("not-ready", 503, "Not ready yet", "Ask again in a moment; GET /ready says when."),
        Kind("database-unavailable", 503, "The database does not answer", "Ask again in a moment."),
        Kind("internal-error", 500, "Something went wrong here",
             "Tell whoever runs this server the `instance`: the log has the rest."),
    )
}  # fmt: skip


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - the field's word
    """A problem that is answered with its document."""

    slug: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def response(self) -> Response:
        """Make the document."""
        kind = KINDS[self.slug]
        document = {
            "type": f"/problems/{kind.slug}",
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
            "way_out": kind.way_out,
            **self.more,
        }
        return Response(
            json.dumps(document, ensure_ascii=True).encode(),
            kind.status,
            headers=dict(self.headers),
            media_type=MEDIA_TYPE,
        )
