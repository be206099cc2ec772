"""Session arithmetic: what is in a session, how long it lasts, and how tokens join it.

A session is a plain dictionary of JSON, in the shape that users of Auth0's own SDK know:
``user``, ``id_token``, ``refresh_token``, ``token_sets``, ``domain`` and ``internal``.
Nothing here changes one: what is new is a new dictionary.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from math import inf
from typing import Any, TypeAlias

from ...secret import secret
from ...values import SessionPolicy, TokenExchangeResponse
from ..jose.claims import is_whole_date

State: TypeAlias = dict[str, Any]

DEFAULT_AUDIENCE = "default"
"""What a token set is labelled with that was asked for without an audience."""

_TOUCHED_EACH = 0.1
"""The part of the idle time after which a use is noted: each note is a write."""

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_decode = json.JSONDecoder().decode

# To write ``str | None`` in a check makes the type anew each time.
_TEXT_OR_NONE = (str, type(None))

# Claims that say something of the token alone, and nothing of the user.
_OF_THE_TOKEN = frozenset({"at_hash", "c_hash", "nonce"})


def create_state(
    response: TokenExchangeResponse,
    claims: Mapping[str, Any],
    *,
    audience: str | None,
    scope: str | None,
    domain: str,
    now: float,
    policy: SessionPolicy,
    session_id: str,
) -> State:
    """Make the session of a user who has just logged in.

    Args:
        response: the tokens.
        claims: those of the verified ID token, of which :func:`ceiling_problem` is none.
        audience: the audience that was sent, if one was.
        scope: the scope that was sent.
        domain: the tenant's.
        now: epoch seconds.
        policy: how long it lasts.
        session_id: names the session where the ID token does not.
    """
    created, sid = int(now), claims.get("sid")
    ends = min(now + policy.absolute_seconds, claims.get("session_expiry", inf))
    return {
        "user": _user(claims),
        "id_token": response.id_token,
        "refresh_token": response.refresh_token,
        "token_sets": [_token_set(response, audience or DEFAULT_AUDIENCE, scope, now)],
        "domain": domain,
        "internal": {
            "audience": audience or DEFAULT_AUDIENCE,
            "sid": sid if isinstance(sid, str) and sid else session_id,
            "created_at": created,
            "used_at": created,
            "expires_at": int(ends),
        },
    }


def ceiling_problem(claims: Mapping[str, Any], now: float) -> str | None:
    """Give what is wrong with the moment at which an ID token ends its session, or ``None``.

    An Action sets ``session_expiry`` where the user's own identity provider limits sessions.
    """
    ceiling = claims.get("session_expiry", inf)
    # To Python True is a number too.
    if isinstance(ceiling, bool) or not isinstance(ceiling, int | float):
        return "session_expiry is not a date in seconds since 1970"
    return "session_expiry has passed" if ceiling <= now else None


def is_alive(state: State, now: float, policy: SessionPolicy) -> bool:
    """Tell whether neither the idle nor the absolute lifetime has passed."""
    internal = state["internal"]
    return bool(
        now < internal["expires_at"]
        and now < internal["created_at"] + policy.absolute_seconds
        and now < internal["used_at"] + policy.idle_seconds
    )


def note_use(state: State, now: float, policy: SessionPolicy) -> State | None:
    """Note that a session is used; ``None`` while the last note is recent enough."""
    if now - state["internal"]["used_at"] < policy.idle_seconds * _TOUCHED_EACH:
        return None
    return {**state, "internal": {**state["internal"], "used_at": int(now)}}


def seconds_left(state: State, now: float, policy: SessionPolicy) -> float:
    """Give how long a session lasts that is not used again; at least a second."""
    internal = state["internal"]
    ends = min(internal["expires_at"], internal["used_at"] + policy.idle_seconds)
    return float(max(ends - now, 1.0))


def find_label(state: State, audience: str | None) -> str:
    """Give what tokens for *audience* are labelled with; ``None`` is what the login was for."""
    if audience is not None:
        return audience
    label: str = state["internal"]["audience"]
    return label


def find_login_audience(state: State) -> str | None:
    """Give the audience that a session's login named, if it named one."""
    label = find_label(state, None)
    return None if label == DEFAULT_AUDIENCE else label


def find_token(
    state: State, audience: str | None, scope: str | None, now: float
) -> str | None:
    """Give an access token for *audience* with at least *scope* that is good at *now*."""
    wanted, label = set((scope or "").split()), find_label(state, audience)
    for each in state["token_sets"]:
        if (
            each["audience"] == label
            and wanted <= _scopes_of(each)
            and (each["expires_at"] is None or now < each["expires_at"])
        ):
            token: str = secret(each["access_token"])
            return token
    return None


def merge_tokens(
    state: State,
    response: TokenExchangeResponse,
    *,
    audience: str | None,
    scope: str | None,
    now: float,
) -> State:
    """Add new tokens to a session, in place of those for the same audience and scope.

    What the answer leaves out stays: RFC 6749 section 6 lets a server keep the refresh
    token, and an ID token comes only with ``openid``.
    """
    new = _token_set(response, find_label(state, audience), scope, now)
    kept = [
        each
        for each in state["token_sets"]
        if each["audience"] != new["audience"]
        or not _scopes_of(each) <= _scopes_of(new)
        # What is past its time is of no use to anybody.
        if each["expires_at"] is None or now < each["expires_at"]
    ]
    return {
        **state,
        "id_token": response.id_token or state["id_token"],
        "refresh_token": response.refresh_token or state["refresh_token"],
        "token_sets": [*kept, new],
        "internal": {**state["internal"], "used_at": int(now)},
    }


def find_scope(state: State, audience: str | None) -> str | None:
    """Give the scope of the tokens that a session has for *audience*."""
    label = find_label(state, audience)
    for each in state["token_sets"]:
        if each["audience"] == label:
            scope: str | None = each["scope"]
            return scope
    return None


def id_token_expiry(state: State) -> float:
    """Give when a session's ID token expires, in epoch seconds; 0 where it has none."""
    try:
        claims = json.loads(urlsafe_b64decode(state["id_token"].split(".")[1] + "=="))
        # It was verified before it was kept.
        return float(claims["exp"])
    except (
        AttributeError,
        IndexError,
        KeyError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
    ):
        return 0.0


def with_user(state: State, claims: Mapping[str, Any]) -> State:
    """Give a session whose user is as a newer ID token says."""
    return {**state, "user": _user(claims)}


def without_refresh_token(state: State, now: float) -> State:
    """Give a session whose refresh token is spent or refused; its tokens last their time."""
    internal = {**state["internal"], "refresh_lost_at": int(now)}
    return {**state, "refresh_token": None, "internal": internal}


def conceal_tokens(state: State) -> State:
    """Give a copy of a session, its tokens as text that does not print."""
    return {
        **state,
        "id_token": secret(state["id_token"]),
        "refresh_token": secret(state["refresh_token"]),
        "token_sets": [
            {**each, "access_token": secret(each["access_token"])}
            for each in state["token_sets"]
        ],
    }


def write_session(state: State) -> bytes:
    """Write a session as JSON, to be sealed."""
    # Half a surrogate pair, which JSON may escape, is read back as it was.
    return _encode(state).encode("utf-8", "surrogatepass")


def read_session(payload: bytes) -> State | None:
    """Read what was sealed; ``None`` where it is no session of this version."""
    try:
        state = _decode(payload.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    return conceal_tokens(state) if is_session(state) else None


def is_session(state: object) -> bool:
    """Tell whether *state* has all that every function here takes for granted."""
    if not isinstance(state, dict):
        return False
    user, internal = state.get("user"), state.get("internal")
    token_sets = state.get("token_sets")
    return (
        isinstance(internal, dict)
        and isinstance(user, dict)
        and isinstance(token_sets, list)
        and is_whole_date(internal.get("created_at"))
        and is_whole_date(internal.get("used_at"))
        and is_whole_date(internal.get("expires_at"))
        and isinstance(internal.get("sid"), str)
        and isinstance(internal.get("audience"), str)
        and isinstance(user.get("sub"), str)
        and isinstance(state.get("domain"), str)
        and isinstance(state.get("id_token", 0), _TEXT_OR_NONE)
        and isinstance(state.get("refresh_token", 0), _TEXT_OR_NONE)
        and all(map(_is_token_set, token_sets))
    )


def _is_token_set(token_set: object) -> bool:
    if not isinstance(token_set, dict):
        return False
    expires = token_set.get("expires_at", 0.5)
    return (
        isinstance(token_set.get("audience"), str)
        and isinstance(token_set.get("access_token"), str)
        and isinstance(token_set.get("scope", 0), _TEXT_OR_NONE)
        and isinstance(token_set.get("requested_scope"), _TEXT_OR_NONE)
        and (expires is None or is_whole_date(expires))
    )


def _user(claims: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in claims.items() if k not in _OF_THE_TOKEN}


def _token_set(
    response: TokenExchangeResponse, label: str, scope: str | None, now: float
) -> dict[str, Any]:
    lifetime = response.expires_in
    return {
        "audience": label,
        "access_token": response.access_token,
        # What was granted; who asks for what was asked for is answered by it as well,
        # where Auth0 has left out a scope that it does not grant.
        "scope": response.scope,
        "requested_scope": scope,
        "expires_at": None if lifetime is None else int(now) + lifetime,
    }


def _scopes_of(token_set: Mapping[str, Any]) -> set[str]:
    granted, asked = token_set["scope"], token_set.get("requested_scope")
    return set(f"{granted or ''} {asked or ''}".split())
