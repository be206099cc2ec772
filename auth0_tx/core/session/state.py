"""The content of a session: what is in it, how long it lasts, and how tokens join it.

A session is a plain dictionary of JSON, in the shape that users of Auth0's own SDK know:

- ``user``: the claims of the verified ID token about the user.
- ``id_token`` and ``refresh_token``: text or ``None``.
- ``token_sets``: access tokens, each with what it *is* (the audience and expiry that it
  names, the scope that was granted, when it was issued) and with what was asked for.
- ``domain``: the tenant that the user logged in to.
- ``internal``: the session's ``id`` and ``sid``, when it was created, last used and ends, the
  audience of the login (or of another exchange that was made for callers who name none), and
  the scope that each audience gets unasked.

A login creates one (``create_state``), a refresh adds to it (``add_access_token``,
``renew_user``), each use is noted now and then (``note_use``), and ``is_alive`` decides whether
it still counts.  Nothing here changes a session: each function returns a new dictionary, so a
flow that fails halfway leaves the old one as it was.

**A token is filed under what it is.**  Auth0 answers a refresh for an audience outside the
refresh token's policy with a token for the first API.  So a JWT is kept under an audience
that it names, whatever was asked for (``find_filing_label``), and is never found under another.
An opaque token names none, and is kept under the audience asked for.

A session ends at the first of four moments: the absolute lifetime and the idle lifetime of
the policy, the end that was written into it at login, and ``session_expiry``, a claim by
which an Action of the tenant bounds it, at the login or in a newer ID token.  Both lifetimes
are computed anew at each look, so a shorter policy applies at once to sessions that exist.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from math import inf
from typing import Any, TypeAlias, TypeGuard

from ...secret import SecretBytes, conceal_members, secret
from ...values import SessionPolicy, TokenExchangeResponse
from ..jose.access_token import (
    AccessTokenClaims,
    read_access_token,
    read_unverified_claims,
)
from ..jose.claims import LAST_SECOND, is_date
from ..wire.domains import issuer_url

State: TypeAlias = dict[str, Any]

DEFAULT_AUDIENCE = "default"
"""The label of a token set that was requested without an audience, as in Auth0's SDK."""

_NOTED_EACH = 0.1
"""The part of the idle lifetime after which a use is noted again.  Each note is a write to
the store, or a cookie on the response; at a tenth, a session ends at most that much early."""

_MARGIN = 1 / 5
"""The part of a token's lifetime that a margin before its expiry may be at most."""

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_decode = json.JSONDecoder(object_hook=conceal_members).decode

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
        session_id: random text that names the session, and is the ``sid`` of one whose ID
            token has none.
    """
    created, sid = int(now), claims.get("sid")
    ends = min(now + policy.absolute_seconds, claims.get("session_expiry", inf))
    label = audience or DEFAULT_AUDIENCE
    token = read_access_token(response.access_token)
    filed = find_filing_label(label, token.audience, label, (), domain)
    # RFC 6749 section 5.1: an answer without a scope grants what was asked for.
    granted = scope if response.scope is None else response.scope
    return {
        "user": select_user_claims(claims),
        "id_token": response.id_token,
        "refresh_token": response.refresh_token,
        "token_sets": [
            _build_token_set(response, token, filed, scope, response.scope, now)
        ],
        "domain": domain,
        "internal": {
            "id": session_id,
            "audience": label,
            "scopes": {} if granted is None else {filed: granted},
            # Back-channel logout names a session by the ``sid`` of its ID token (OIDC
            # Back-Channel Logout 2.4).  Custom Token Exchange often issues none.
            "sid": sid if isinstance(sid, str) and sid else session_id,
            "created_at": created,
            "used_at": round_moment(now),
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
    if not _is_ceiling(ceiling):
        return "session_expiry is not a date in seconds since 1970"
    return "session_expiry has passed" if ceiling <= now else None


def _is_ceiling(value: object) -> TypeGuard[int | float]:
    # For Python True is a number too: one second after 1970.
    return isinstance(value, int | float) and not isinstance(value, bool)


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
    return {**state, "internal": {**state["internal"], "used_at": round_moment(now)}}


def round_moment(now: float) -> float:
    """Return a moment of use as it is kept: exact enough for an idle lifetime of a second."""
    return round(now, 3)


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


def with_usual_audience(state: State, label: str) -> State:
    """Return the session with another label for callers who name no audience."""
    return {**state, "internal": {**state["internal"], "audience": label}}


def find_token_set(
    state: State,
    audience: str | None,
    scope: str | None,
    now: float,
    margin: float = 0.0,
) -> dict[str, Any] | None:
    """Return the token set that serves *audience* and *scope* longest, or ``None``.

    Args:
        state: the session.
        audience: the API; ``None`` for the login's.
        scope: the scopes that it must have been granted, or asked for with.  Without any, it
            must have those that a request without a scope gets: a token that one caller
            asked for with less does not serve callers who ask for no less than usual.
        now: epoch seconds.
        margin: seconds that it must be valid for, at most a fifth of its lifetime.
    """
    label, best = find_label(state, audience), None
    wanted = set((scope or "").split())
    for token_set in state["token_sets"]:
        if (
            token_set["audience"] == label
            and (
                wanted <= _list_scopes(token_set)
                if wanted
                else _has_usual_scope(token_set, state["internal"]["scopes"])
            )
            and _has_time_left(token_set, now, margin)
            # RFC 6749 section 5.1 only recommends ``expires_in``.  Of a token without it, the
            # API that gets it decides, so one that is known to last goes first.
            and (
                best is None
                or (token_set["expires_at"] or 0) >= (best["expires_at"] or 0)
            )
        ):
            best = token_set
    return best


def add_access_token(
    state: State,
    response: TokenExchangeResponse,
    *,
    audience: str | None,
    scope: str | None,
    now: float,
) -> State:
    """Add an access token to a session, in place of those for the same audience and scope.

    Args:
        state: the session.
        response: the response that brought it.
        audience: the audience they were requested for; ``None`` for the login's.
        scope: the scope that was sent, if one was.
        now: epoch seconds.
    """
    new = file_tokens(state, response, audience=audience, scope=scope, now=now)
    internal = state["internal"]
    scopes: dict[str, str] = internal["scopes"]
    is_as_asked = new["audience"] == find_label(state, audience)
    if not scope and response.scope is not None and is_as_asked:
        scopes = {**scopes, new["audience"]: response.scope}
    is_usual = _has_usual_scope(new, scopes)
    others = [
        token_set
        for token_set in state["token_sets"]
        if token_set["audience"] != new["audience"]
        # A token with a scope that the new one lacks still serves whoever asks for it.
        or not _list_scopes(token_set) <= _list_scopes(new)
        or (_has_usual_scope(token_set, scopes) and not is_usual)
        # Expired sets would fill the cookies of a session that asks for many audiences.
        if _has_time_left(token_set, now)
    ]
    return {
        **state,
        "token_sets": [*others, new],
        "internal": {
            **internal,
            "scopes": scopes,
            # An outcome that is remembered may be older than the last use.
            "used_at": max(internal["used_at"], round_moment(now)),
        },
    }


def file_tokens(
    state: State,
    response: TokenExchangeResponse,
    *,
    audience: str | None,
    scope: str | None,
    now: float,
) -> dict[str, Any]:
    """Return the token set that a session keeps of a response: :func:`add_access_token` adds it.

    Its ``audience`` is another than *audience* if the access token names others alone.
    """
    asked = find_label(state, audience)
    token = read_access_token(response.access_token)
    filed = find_filing_label(
        asked,
        token.audience,
        find_label(state, None),
        state["token_sets"],
        state["domain"],
    )
    if filed != asked:
        # The scope asked for was another API's.
        scope = response.scope
    # Without a scope in request and response, it is the one that was granted before (RFC 6749
    # section 6): for this audience, and never that of another token set.
    granted = response.scope
    if granted is None:
        granted = state["internal"]["scopes"].get(filed)
    return _build_token_set(response, token, filed, scope, granted, now)


def find_filing_label(
    asked: str,
    names: Collection[str] | None,
    login: str,
    token_sets: Iterable[Mapping[str, Any]],
    domain: str,
) -> str:
    """Return the label under which an access token is kept.

    Args:
        asked: the label that the token was asked for.
        names: the audiences that it names; ``None`` if it is opaque.
        login: the label of the login.
        token_sets: those that the session has.
        domain: the tenant's domain.
    """
    # A request without an audience leaves the choice to the tenant.
    if names is None or asked in names or asked == DEFAULT_AUDIENCE:
        return asked
    if login in names:
        return login
    for token_set in token_sets:
        # The same API under the label that it already has, such as "default".
        if token_set["aud"] is not None and set(token_set["aud"]) == set(names):
            label: str = token_set["audience"]
            return label
    return _choose_api(names, domain)


def find_api(token_set: Mapping[str, Any], domain: str) -> str | None:
    """Return the API that an access token names, or ``None`` if it is opaque."""
    label, names = token_set["audience"], token_set["aud"]
    if not names or label in names:
        return label if names else None
    return _choose_api(names, domain)


def _choose_api(names: Collection[str], domain: str) -> str:
    # With openid, Auth0 adds the tenant's userinfo endpoint to each audience.
    userinfo = f"{issuer_url(domain)}userinfo"
    return next((name for name in names if name != userinfo), userinfo)


def read_id_token_dates(state: State) -> tuple[float, float]:
    """Return when the session's ID token was issued and expires; zeros if it does not say."""
    # Unverified: it was verified before it was kept, and the session was sealed since.
    claims = read_unverified_claims(state["id_token"])
    issued, expires = claims.get("iat"), claims.get("exp")
    if not is_date(issued) or not is_date(expires):
        return 0.0, 0.0
    return float(issued), float(expires)


def has_fresh_id_token(state: State, now: float, margin: float = 0.0) -> bool:
    """Return whether the session's ID token is valid for *margin* seconds yet.

    The margin is at most a fifth of the token's lifetime.
    """
    issued, expires = read_id_token_dates(state)
    return has_time_left(issued, expires, now, margin)


def has_time_left(
    issued: float, expires: float | None, now: float, margin: float = 0.0
) -> bool:
    """Return whether a token is valid for *margin* seconds yet.

    The margin is at most a fifth of the token's lifetime, or a token that lives for less than
    it would be renewed at each call.  Without a known end, the API decides.
    """
    if expires is None:
        return True
    return now + min(margin, max(expires - issued, 0) * _MARGIN) < expires


def renew_user(
    state: State,
    id_token: str | None,
    claims: Mapping[str, Any],
    *,
    policy: SessionPolicy,
    takes_actor: bool = False,
) -> State:
    """Return the session with the user whom a newer ID token describes.

    ``sid`` stays as the session has it: by the one of its login, Auth0 logs it out.  ``act``
    stays too, as a refresh changes nothing about who acts; only where nobody acted, a new one
    is taken.

    A newer ``session_expiry`` counts, even one that has passed: the session has ended then.
    With one that is not a date, the session keeps the ID token, the user and the end that it
    had.

    Args:
        state: the session.
        id_token: the newer ID token.
        claims: its verified claims.
        policy: how long sessions last.
        takes_actor: whether ``act`` is the newer token's, as after another exchange.
    """
    if not _is_ceiling(claims.get("session_expiry", inf)):
        return state
    before, internal = state["user"], state["internal"]
    user = select_user_claims({k: v for k, v in claims.items() if k != "sid"})
    kept = ("sid",) if takes_actor else ("act", "sid")
    user |= {name: before[name] for name in kept if name in before}
    ends = internal["expires_at"]
    if "session_expiry" in claims:
        longest = internal["created_at"] + policy.absolute_seconds
        ends = max(int(min(longest, claims["session_expiry"])), 0)
    return {
        **state,
        "user": user,
        "id_token": id_token,
        "internal": {**internal, "expires_at": ends},
    }


def select_user_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims of an ID token that are about its user."""
    return {
        name: value
        for name, value in claims.items()
        if name not in _CLAIMS_ABOUT_THE_TOKEN
    }


def replace_refresh_token(state: State, spent: str | None, new: str | None) -> State:
    """Return the session with the refresh token that came for the one that was *spent*.

    A response need not bring one (RFC 6749 section 6): the session keeps the one it has.  A
    session that by now has another than the spent one keeps that: it is newer.
    """
    if new is None or state["refresh_token"] != spent:
        return state
    return {**state, "refresh_token": new}


def without_refresh_token(state: State, refused: str, now: float) -> State:
    """Return the session without the refresh token that was *refused*, if it has it still.

    The access tokens stay: they are good until they expire.
    """
    if state["refresh_token"] != refused:
        return state
    internal = {**state["internal"], "refresh_lost_at": int(now)}
    return {**state, "refresh_token": None, "internal": internal}


def shed_tokens(state: State) -> Iterator[State]:
    """Yield a session with all of its tokens, and with ever fewer.

    Access tokens go first, from the oldest to the newest, then the ID token: a refresh brings
    them again.  The refresh token stays.
    """
    yield state
    token_sets = state["token_sets"]
    for oldest in sorted(token_sets, key=lambda each: each.get("issued_at", 0)):
        token_sets = [token_set for token_set in token_sets if token_set is not oldest]
        yield {**state, "token_sets": token_sets}
    if state["id_token"] is not None:
        yield {**state, "token_sets": token_sets, "id_token": None}


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
    return SecretBytes(_encode(state).encode("utf-8", "surrogatepass"))


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
        and is_date(internal.get("used_at"))
        and is_whole_date(internal.get("expires_at"))
        and isinstance(internal.get("id"), str)
        and isinstance(internal.get("sid"), str)
        and _is_text_by_text(internal.get("scopes"))
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


def _is_text_by_text(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(text, str) for text in value.values()
    )


def _is_token_set(token_set: object) -> bool:
    if not isinstance(token_set, dict):
        return False
    # A missing member must fail, and None is a value here: 0.5 is neither a whole date nor a
    # list.
    expires, audience = token_set.get("expires_at", 0.5), token_set.get("aud", 0.5)
    return (
        isinstance(token_set.get("audience"), str)
        and isinstance(token_set.get("access_token"), str)
        and isinstance(token_set.get("scope", 0), _TEXT_OR_NONE)
        and isinstance(token_set.get("requested_scope", 0), _TEXT_OR_NONE)
        and is_whole_date(token_set.get("issued_at"))
        and (expires is None or is_whole_date(expires))
        and (
            audience is None
            or (
                isinstance(audience, list)
                and all(isinstance(name, str) for name in audience)
            )
        )
    )


def _build_token_set(
    response: TokenExchangeResponse,
    token: AccessTokenClaims,
    label: str,
    requested: str | None,
    granted: str | None,
    now: float,
) -> dict[str, Any]:
    lifetime, ends = response.expires_in, token.expires_at
    # Of two that disagree, the first to end it.  Without ``expires_in``, which RFC 6749
    # section 5.1 only recommends, the token itself may say.
    expiries = ([] if lifetime is None else [int(now) + lifetime]) + (
        [] if ends is None else [int(ends)]
    )
    return {
        "audience": label,
        "aud": None if token.audience is None else list(token.audience),
        "access_token": response.access_token,
        # Auth0 may grant less than was requested (RFC 6749 section 3.3).  Asking again
        # would grant no more, so both count as what the token is for.
        "scope": granted,
        "requested_scope": requested,
        "issued_at": int(now),
        "expires_at": min(expiries, default=None),
    }


def _list_scopes(token_set: Mapping[str, Any]) -> set[str]:
    granted, requested = token_set["scope"], token_set["requested_scope"]
    return set(f"{granted or ''} {requested or ''}".split())


def _has_usual_scope(token_set: Mapping[str, Any], scopes: Mapping[str, str]) -> bool:
    """Return whether a token serves callers who name no scope."""
    usual = scopes.get(token_set["audience"])
    return not token_set["requested_scope"] or (
        usual is not None and set(usual.split()) <= _list_scopes(token_set)
    )


def _has_time_left(
    token_set: Mapping[str, Any], now: float, margin: float = 0.0
) -> bool:
    return has_time_left(token_set["issued_at"], token_set["expires_at"], now, margin)
