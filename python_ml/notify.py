"""Telling a webhook what is amiss: one POST of JSON, readable by Slack and its kin.

A webhook that does not answer is written to the log and stops nothing: it is not worth a run.
"""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from typing import Literal

from python_ml.settings import Settings

log = logging.getLogger(__name__)

Kind = Literal["late", "refused", "failed"]

TIMEOUT_SECONDS = 10


def notify(settings: Settings, kind: Kind, message: str) -> bool:
    """Post to the webhook that is set, if one is; return whether it took the message.

    Parameters
    ----------
    kind
        ``late``: scores are older than they should be. ``refused``: a run published nothing, for a
        reason that stays until somebody mends it. ``failed``: it ended for another reason.
    """
    if settings.webhook_url is None:
        return False
    body = {"kind": kind, "text": f"SmartRetail ({settings.home.name}): {message}"}
    request = urllib.request.Request(  # noqa: S310 - settings admit http and https alone
        settings.webhook_url.get_secret_value(),
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            return bool(200 <= answer.status < 300)  # noqa: PLR2004 - what HTTP calls success
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        log.warning("The webhook did not take a message (%s): %s", kind, reason)
        return False
