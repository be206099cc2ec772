"""The content of a session: what is in it, how long it lasts, and how tokens join it.

A session is a plain dictionary of JSON, in the shape that users of Auth0's own SDK know:

- ``user``: the claims of the verified ID token about the user.
- ``id_token`` and ``refresh_token``: text or ``None``.
- ``token_sets``: access tokens, each with its audience, scope and expiry.
- ``domain``: the tenant that the user logged in to.
- ``internal``: when the session was created, last used and ends, its ``sid``, and the
  audience of the login.

A login creates one (``create_state``), a refresh adds to it (``merge_tokens``), each use is
noted now and then (``note_use``), and ``is_alive`` decides whether it still counts.  Nothing
here changes a session: each function returns a new dictionary, so a flow that fails halfway
leaves the old one as it was.

A session ends at the first of four moments: the absolute lifetime and the idle lifetime of
the policy, the end that was written into it at login, and ``session_expiry``, a claim by
which an Action of the tenant bounds it.  Both lifetimes are computed anew at each look, so a
shorter policy applies at once to sessions that exist.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from math import inf
from typing import Any, TypeAlias, TypeGuard

from ...secret import secret
from ...values import SessionPolicy, TokenExchangeResponse
from ..jose.claims import LAST_SECOND

State: TypeAlias = dict[str, Any]

DEFAULT_AUDIENCE = "default"
"""The label of a token set that was requested without an audience, as in Auth0's SDK."""

_NOTED_EACH = 0.1
"""The part of the idle lifetime after which a use is noted again.  Each note is a write to
the store, or a cookie on the response; at a tenth, a session ends at most that much early."""

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_decode = json.JSONDecoder().decode

# ``isinstance(x, str | None)`` would make the union anew for each check of each session.
_TEXT_OR_NONE = (str, type(None))

# They bind the ID token to its login (OIDC Core 3.1.3.6, 3.3.2.11) and say nothing of the
# user; in a cookie they would only take room.
_CLAIMS_ABOUT_THE_TOKEN = frozenset({"at_hash", "c_hash", "nonce"})


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
    """Create the session of a user who has just logged in.

    Args:
        response: the tokens.
        claims: those of the verified ID token, in which :func:`ceiling_problem` found none.
        audience: the audience that was sent, if one was.
        scope: the scope that was sent, if one was.
        domain: the tenant's domain.
        now: epoch seconds.
        policy: how long sessions last.
        session_id: the ``sid`` of a session whose ID token has none.
    """
    created, sid = int(now), claims.get("sid")
    ends = min(now + policy.absolute_seconds, claims.get("session_expiry", inf))
    return {
        "user": _select_user_claims(claims),
        "id_token": response.id_token,
        "refresh_token": response.refresh_token,
        "token_sets": [_token_set(response, audience or DEFAULT_AUDIENCE, scope, now)],
        "domain": domain,
        "internal": {
            "audience": audience or DEFAULT_AUDIENCE,
            # Back-channel logout names a session by the ``sid`` of its ID token (OIDC
            # Back-Channel Logout 2.4).  Custom Token Exchange often issues none.
            "sid": sid if isinstance(sid, str) and sid else session_id,
            "created_at": created,
            "used_at": created,
            "expires_at": int(ends),
        },
    }


def ceiling_problem(claims: Mapping[str, Any], now: float) -> str | None:
    """Return what is wrong with the end that an ID token sets its session, or ``None``.

    An Action sets ``session_expiry`` if the user's own identity provider limits sessions.
    A ceiling that cannot be read fails the login: ignoring it would let the session outlive
    what the provider allows.
    """
    ceiling = claims.get("session_expiry", inf)
    # For Python True is a number too: one second after 1970.
    if isinstance(ceiling, bool) or not isinstance(ceiling, int | float):
        return "session_expiry is not a date in seconds since 1970"
    return "session_expiry has passed" if ceiling <= now else None


def is_alive(state: State, now: float, policy: SessionPolicy) -> bool:
    """Return whether neither the idle nor the absolute lifetime has passed."""
    internal = state["internal"]
    return bool(
        now < internal["expires_at"]
        # Not only at login: a policy made shorter since then applies too.
        and now < internal["created_at"] + policy.absolute_seconds
        and now < internal["used_at"] + policy.idle_seconds
    )


def note_use(state: State, now: float, policy: SessionPolicy) -> State | None:
    """Return the session with its use noted, or ``None`` if the last note is recent."""
    if now - state["internal"]["used_at"] < policy.idle_seconds * _NOTED_EACH:
        return None
    return {**state, "internal": {**state["internal"], "used_at": int(now)}}


def seconds_left(state: State, now: float, policy: SessionPolicy) -> float:
    """Return how long a session lasts if it is not used again; at least a second."""
    internal = state["internal"]
    ends = min(internal["expires_at"], internal["used_at"] + policy.idle_seconds)
    # A store or a cookie takes 0 for "delete", and a negative number for an error.
    return float(max(ends - now, 1.0))


def find_label(state: State, audience: str | None) -> str:
    """Return the label of tokens for *audience*; ``None`` means the login's audience."""
    if audience is not None:
        return audience
    label: str = state["internal"]["audience"]
    return label


def find_login_audience(state: State) -> str | None:
    """Return the audience that the login named, or ``None`` if it named none."""
    label = find_label(state, None)
    return None if label == DEFAULT_AUDIENCE else label


def find_token(
    state: State, audience: str | None, scope: str | None, now: float
) -> str | None:
    """Return an access token for *audience* with at least *scope*, still good at *now*."""
    wanted, label = set((scope or "").split()), find_label(state, audience)
    for token_set in state["token_sets"]:
        if (
            token_set["audience"] == label
            and wanted <= _list_scopes(token_set)
            # RFC 6749 section 5.1 only recommends ``expires_in``; without it, the API
            # that gets the token decides.
            and (token_set["expires_at"] is None or now < token_set["expires_at"])
        ):
            token: str = secret(token_set["access_token"])
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

    Members that the response leaves out stay: a server need not issue a new refresh token (RFC 6749
    section 6), and issues an ID token only for the scope ``openid``.

    Args:
        state: the session.
        response: the new tokens.
        audience: the audience they were requested for; ``None`` for the login's.
        scope: the scope that was sent, if one was.
        now: epoch seconds.
    """
    new = _token_set(response, find_label(state, audience), scope, now)
    others = [
        token_set
        for token_set in state["token_sets"]
        if token_set["audience"] != new["audience"]
        # A token with a scope that the new one lacks still serves whoever asks for it.
        or not _list_scopes(token_set) <= _list_scopes(new)
        # Expired sets would fill the cookies of a session that asks for many audiences.
        if token_set["expires_at"] is None or now < token_set["expires_at"]
    ]
    return {
        **state,
        "id_token": response.id_token or state["id_token"],
        "refresh_token": response.refresh_token or state["refresh_token"],
        "token_sets": [*others, new],
        "internal": {**state["internal"], "used_at": int(now)},
    }


def find_scope(state: State, audience: str | None) -> str | None:
    """Return the scope of the session's tokens for *audience*, or ``None``."""
    label = find_label(state, audience)
    for token_set in state["token_sets"]:
        if token_set["audience"] == label:
            scope: str | None = token_set["scope"]
            return scope
    return None


def id_token_expiry(state: State) -> float:
    """Return when the session's ID token expires, in epoch seconds; 0 if it has none."""
    try:
        # Unverified: it was verified before it was kept, and the session was sealed since.
        claims = json.loads(urlsafe_b64decode(state["id_token"].split(".")[1] + "=="))
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
    """Return the session with the user that a newer ID token describes."""
    return {**state, "user": _select_user_claims(claims)}


def without_refresh_token(state: State, now: float) -> State:
    """Return the session without its refresh token, which was spent or refused.

    The access tokens stay: they are good until they expire.
    """
    internal = {**state["internal"], "refresh_lost_at": int(now)}
    return {**state, "refresh_token": None, "internal": internal}


def conceal_tokens(state: State) -> State:
    """Return a copy of the session whose tokens do not print.

    Applications log sessions, and error trackers show local variables.
    """
    token_sets = [
        {**token_set, "access_token": secret(token_set["access_token"])}
        for token_set in state["token_sets"]
    ]
    return {
        **state,
        "token_sets": token_sets,
        "id_token": secret(state["id_token"]),
        "refresh_token": secret(state["refresh_token"]),
    }


def write_session(state: State) -> bytes:
    """Return a session as JSON, to be sealed."""
    # A claim may hold half a surrogate pair, as JSON may escape one (RFC 8259 section 8.2).
    # It must neither fail the login nor come back as another character.
    return _encode(state).encode("utf-8", "surrogatepass")


def read_session(payload: bytes) -> State | None:
    """Return the session that *payload* holds, or ``None`` if it is not one of this version.

    Only this library, or one with its secret, can have sealed it.  That may have been
    another version, before an upgrade or after it was undone, so the shape is checked.
    """
    try:
        state = _decode(payload.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    return conceal_tokens(state) if is_session(state) else None


def is_session(state: object) -> bool:
    """Return whether *state* has all that the functions here rely on."""
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
        # 0, so that a missing member fails: None is a value here.
        and isinstance(state.get("id_token", 0), _TEXT_OR_NONE)
        and isinstance(state.get("refresh_token", 0), _TEXT_OR_NONE)
        and all(map(_is_token_set, token_sets))
    )


def is_whole_date(value: object) -> TypeGuard[int]:
    """Return whether *value* is a date without a fraction, as this library writes them."""
    # type() and not isinstance(): True is an int.
    return type(value) is int and 0 <= value <= LAST_SECOND


def _is_token_set(token_set: object) -> bool:
    if not isinstance(token_set, dict):
        return False
    # A missing member must fail, and None is a value here: 0.5 isn't a whole date.
    expires = token_set.get("expires_at", 0.5)
    return (
        isinstance(token_set.get("audience"), str)
        and isinstance(token_set.get("access_token"), str)
        and isinstance(token_set.get("scope", 0), _TEXT_OR_NONE)
        and isinstance(token_set.get("requested_scope"), _TEXT_OR_NONE)
        and (expires is None or is_whole_date(expires))
    )


def _select_user_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in claims.items()
        if name not in _CLAIMS_ABOUT_THE_TOKEN
    }


def _token_set(
    response: TokenExchangeResponse, label: str, scope: str | None, now: float
) -> dict[str, Any]:
    lifetime = response.expires_in
    return {
        "audience": label,
        "access_token": response.access_token,
        # Auth0 may grant less than was requested (RFC 6749 section 3.3).  Asking again
        # would grant no more, so both count as what the token is for.
        "scope": response.scope,
        "requested_scope": scope,
        "expires_at": None if lifetime is None else int(now) + lifetime,
    }


def _list_scopes(token_set: Mapping[str, Any]) -> set[str]:
    granted, requested = token_set["scope"], token_set.get("requested_scope")
    return set(f"{granted or ''} {requested or ''}".split())
