"""Session cookies of Auth0's own SDK, taken over in our form.

auth0-fastapi keeps what auth0-server-python calls ``StateData`` in the browser: JSON, as a
compact JWE under a key derived from its secret, in numbered cookies.  An application that
changes to this library sets ``legacy_secret``, and its users stay logged in:

1. ``_join_chunks`` puts the numbered cookies together.
2. ``_decrypt`` opens the JWE, if its header is the one that the SDK writes.
3. ``_convert_session`` makes a session of ours of the JSON, if it is one of this tenant.

Each step returns ``None`` for whatever it does not recognise; a user with a cookie like that
logs in again, as without ``legacy_secret``.

Several requests with the same cookies take over one session, and not one each:
``derive_legacy_id`` returns the same ids for the same cookies.  A store then has the session
once.  In our own cookies, the result is kept at the next write that a session needs anyway:
an answer that only read it could be late, and bring a spent refresh token back.

Releases of the SDK write different members; comments name the differences.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from ...errors import InvalidInputError
from ...secret import secret as secret_text
from ...values import SessionPolicy
from ..jose.access_token import read_access_token
from ..wire.domains import issuer_url, normalise_domain
from ..wire.reading import read_json
from .state import (
    DEFAULT_AUDIENCE,
    State,
    conceal_tokens,
    is_session,
    is_whole_date,
    round_moment,
    select_user_claims,
)

LEGACY_COOKIE = "_a0_session"
"""The name of auth0-fastapi's cookies, which ``_`` and a number follow."""

MOST_CHUNKS = 16
"""With so many chunks, cookies are as long as any server lets all fields of a request be."""

_CHUNK = 4_096 - len(LEGACY_COOKIE) - 10
"""The length of each of its cookies but the last, which may be shorter."""

# {"alg":"dir","enc":"A256CBC-HS512"}, and no encrypted key.  Nothing else is decoded, so a
# cookie cannot choose an algorithm or a key, or have us unpack a compressed payload.
_HEADER = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2Q0JDLUhTNTEyIn0.."
_ALGORITHMS = ("dir", "A256CBC-HS512")

_KEY_BYTES = 64
_INFO = b"Auth0 Generated Encryption"


def read_legacy_session(
    cookies: Mapping[str, str],
    secret: str,
    *,
    domain: str,
    now: float,
    policy: SessionPolicy,
    session_id: str,
) -> State | None:
    """Return the session that auth0-server-python sealed, or ``None`` if there is none.

    Nothing is raised, whatever the cookies hold.  The caller checks whether the session is
    still alive.

    Args:
        cookies: the request's cookies.
        secret: the secret that the SDK's client was configured with.
        domain: the tenant's domain, normalised.
        now: epoch seconds.
        policy: how long sessions last.
        session_id: the text that names the session from then on.
    """
    sealed = _join_chunks(cookies)
    payload = None if sealed is None else _decrypt(sealed, secret)
    if payload is None:
        return None
    state, _ = read_json(payload)
    return _convert_session(state, domain, now, policy, session_id)


def derive_legacy_id(cookies: Mapping[str, str], secret: str, purpose: str) -> str:
    """Return an id of the SDK's session in *cookies*: 256 bits that need both to be known.

    Args:
        cookies: the request's cookies.
        secret: the secret that the SDK's client was configured with.
        purpose: what the id is for; one says nothing of another.
    """
    key = secret.encode("utf-8", "surrogatepass")
    text = f"auth0-tx {purpose} {_join_chunks(cookies)}"
    digest = hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")
    derived: str = secret_text(urlsafe_b64encode(digest).rstrip(b"=").decode())
    return derived


def _join_chunks(cookies: Mapping[str, str]) -> str | None:
    chunks: list[str] = []
    while len(chunks) < MOST_CHUNKS:
        chunk = cookies.get(f"{LEGACY_COOKIE}_{len(chunks)}")
        if chunk is None or len(chunk) > _CHUNK:
            break
        chunks.append(chunk)
        # Chunks after one that isn't full are left over from an earlier, longer session.
        if len(chunk) < _CHUNK:
            break
    if chunks:
        return "".join(chunks)
    # A session may also be in one cookie without a number.
    whole = cookies.get(LEGACY_COOKIE)
    return whole if whole is not None and len(whole) <= _CHUNK else None


def _decrypt(sealed: str, secret: str) -> bytes | None:
    if not sealed.startswith(_HEADER):
        return None
    # Not at the top: only clients with ``legacy_secret`` need the JOSE library here.
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from joserfc import jwe
    from joserfc.errors import JoseError
    from joserfc.jwk import OctKey

    # The SDK uses the cookie's name as the salt.
    derivation = HKDF(SHA256(), _KEY_BYTES, LEGACY_COOKIE.encode(), _INFO)
    octets = derivation.derive(secret.encode("utf-8", "surrogatepass"))
    key = OctKey.import_key(octets)
    try:
        return jwe.decrypt_compact(sealed, key, algorithms=_ALGORITHMS).plaintext
    except (JoseError, ValueError):
        return None


def _convert_session(
    theirs: object, domain: str, now: float, policy: SessionPolicy, session_id: str
) -> State | None:
    if not isinstance(theirs, dict):
        return None
    user, internal = _read_user(theirs, domain), theirs.get("internal")
    token_sets = theirs.get("token_sets")
    if user is None or not isinstance(internal, dict):
        return None
    created = internal.get("created_at")
    ceilings = _read_ceilings(user, internal)
    if (
        not is_whole_date(created)
        or ceilings is None
        or not isinstance(token_sets, list)
    ):
        return None
    sets = [_convert_token_set(token_set, created) for token_set in token_sets]
    # The first token set is the login's.
    first: Mapping[str, Any] = (
        sets[0] if sets and sets[0] else {"audience": DEFAULT_AUDIENCE}
    )
    state: State = {
        "user": select_user_claims(user),
        "id_token": theirs.get("id_token"),
        "refresh_token": theirs.get("refresh_token"),
        "token_sets": sets,
        "domain": domain,
        "internal": {
            "id": session_id,
            "audience": first["audience"],
            "scopes": {},
            "sid": internal.get("sid"),
            "created_at": created,
            # The SDK does not note when a session is used.  It is being used now.
            "used_at": round_moment(now),
            "expires_at": int(min([created + policy.absolute_seconds, *ceilings])),
        },
    }
    if not is_session(state):
        return None
    if first.get("scope"):
        state["internal"]["scopes"] = {first["audience"]: first["scope"]}
    # The SDK files a token under the API that was asked for, whatever Auth0 issued.
    state["token_sets"] = [token_set for token_set in sets if _is_filed_well(token_set)]
    return conceal_tokens(state)


def _read_user(theirs: Mapping[str, Any], domain: str) -> dict[str, Any] | None:
    """Return the claims of the user, or ``None`` if the session is another tenant's."""
    user, issuer = theirs.get("user"), issuer_url(domain)
    if not isinstance(user, dict) or not user.get("sub"):
        return None
    # The SDK's model fills in ``None`` for each claim that the ID token did not have.
    claims = {name: value for name, value in user.items() if value is not None}
    if claims.get("iss", issuer) != issuer:
        return None
    named = theirs.get("domain")
    if named is None:
        # Its early releases noted no domain.  Then only the issuer says whose session it is.
        return claims if "iss" in claims else None
    return {"iss": issuer, **claims} if _parse_domain(named) == domain else None


def _parse_domain(domain: Any) -> str | None:
    # The SDK notes the domain as the application's configuration spells it.
    try:
        return normalise_domain(domain)
    except InvalidInputError:
        return None


def _read_ceilings(
    user: Mapping[str, Any], internal: Mapping[str, Any]
) -> list[int] | None:
    """Return the moments at which a session must end, or ``None`` if one is not a date."""
    # After a login by token exchange the SDK notes no ceiling, and keeps the claim.
    noted = (internal.get("session_expires_at"), user.get("session_expiry"))
    ceilings = [ceiling for ceiling in noted if ceiling is not None]
    return ceilings if all(map(is_whole_date, ceilings)) else None


def _convert_token_set(theirs: object, created: int) -> dict[str, Any] | None:
    if not isinstance(theirs, dict):
        return None
    # After a refresh without an audience the SDK notes None, but looks for "default".
    audience, token = theirs.get("audience"), theirs.get("access_token")
    names = read_access_token(token).audience
    return {
        "audience": DEFAULT_AUDIENCE if audience is None else audience,
        "aud": None if names is None else list(names),
        "access_token": token,
        "scope": theirs.get("scope"),
        # The SDK does not note it.  What was granted counts as what was requested, or a
        # token with less than the login's scope would serve callers who name none.
        "requested_scope": theirs.get("scope"),
        # Nor this.
        "issued_at": created,
        "expires_at": theirs.get("expires_at"),
    }


def _is_filed_well(token_set: Any) -> bool:
    label, names = token_set["audience"], token_set["aud"]
    return names is None or label in names or label == DEFAULT_AUDIENCE
