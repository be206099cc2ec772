"""The notes in a browser beside a session in cookies: when it was used, and which one counts.

Requests of one browser overlap, and their answers arrive in any order.  Each answer that sets the
session's cookies overwrites what an earlier one set: with the last to arrive being the answer to
an older request, a refresh token that is spent would be back, or a user who has logged out.

So an answer sets the session's cookies only if the session is new or its tokens are: at a
login and a refresh.  Two small cookies of their own have the rest.

``name.used`` has the moment of the last use, sealed, and the id of the session that was used.
A read may set it.  It only ever extends a session: one that is lost, late or of another session
changes nothing.

``name.current`` names the session that counts, by a hash of its id.  A login sets it, and a
logout sets it to "none"; a refresh or a read never does.  So the late answer to a refresh may
bring an earlier session's cookies back, but no longer has a say in whether they count.  It
opens nothing, and whoever can change it could as well delete the session's cookies, so it is
neither sealed nor signed.  Without it (a browser drops cookies one by one) any session counts.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode

from ...secret import secret
from ..jose.claims import is_date
from .state import State, round_moment

NO_SESSION = "none"
"""The value of ``name.current`` after a logout."""

_MOST_AHEAD = 60
"""Seconds by which the clock of the machine that noted a use may be ahead of ours."""


def used_cookie(name: str) -> str:
    """Return the name of the cookie that has the last use, beside the session's *name*."""
    return f"{name}.used"


def current_cookie(name: str) -> str:
    """Return the name of the cookie that says which session counts."""
    return f"{name}.current"


def write_use(state: State) -> bytes:
    """Return the last use of a session, to be sealed."""
    internal = state["internal"]
    return json.dumps([internal["id"], internal["used_at"]]).encode()


def extend_use(state: State, payload: bytes, now: float) -> State:
    """Return a session with the later use that :func:`write_use` wrote, if it is its own.

    Args:
        state: the session.
        payload: what was sealed, by this or another version.
        now: epoch seconds.
    """
    internal = state["internal"]
    try:
        session_id, used_at = json.loads(payload)
    except (RecursionError, TypeError, ValueError):
        return state
    if session_id != internal["id"] or not is_date(used_at):
        return state
    if not internal["used_at"] < used_at <= now + _MOST_AHEAD:
        return state
    return {
        **state,
        "internal": {**internal, "used_at": min(used_at, round_moment(now))},
    }


def name_session(state: State) -> str:
    """Return the value of ``name.current`` for a session."""
    digest = hashlib.sha256(state["internal"]["id"].encode()).digest()
    name: str = secret(urlsafe_b64encode(digest[:15]).decode())
    return name


def is_current(state: State, noted: str | None) -> bool:
    """Return whether a session counts.

    Args:
        state: the session.
        noted: the browser's ``name.current``, if it has one.
    """
    return noted is None or noted == name_session(state)
