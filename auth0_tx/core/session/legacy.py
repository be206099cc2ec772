"""Session cookies of Auth0's own SDK, read once to be written anew in our form.

auth0-fastapi keeps what auth0-server-python calls ``StateData`` in the browser: JSON, as a
compact JWE under a key derived from its secret, in numbered cookies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import InvalidInputError
from ...values import SessionPolicy
from ..jose.claims import is_whole_date
from ..wire.domains import issuer_url, normalise_domain
from ..wire.reading import read_json
from .state import DEFAULT_AUDIENCE, State, conceal_tokens, is_session, with_user

LEGACY_COOKIE = "_a0_session"
"""What auth0-fastapi calls its cookies, each with ``_`` and a number behind."""

MOST_CHUNKS = 16
"""Together no longer than the fields of a request may be, with any server."""

_CHUNK = 4_096 - len(LEGACY_COOKIE) - 10
"""The characters of each of its cookies but the last."""

# {"alg":"dir","enc":"A256CBC-HS512"}, and no encrypted key: nothing else is looked at, so
# that a cookie chooses no algorithm, no key, and nothing to be unpacked.
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
) -> State | None:
    """Read a session that auth0-server-python sealed; ``None`` where there is none.

    Nothing is raised, whatever the cookies hold.  Whether the session is still alive is
    for the caller to ask.

    Args:
        cookies: the request's.
        secret: the one that its client was configured with.
        domain: the tenant's, as normalised.
        now: epoch seconds.
        policy: how long sessions last.
    """
    sealed = _joined(cookies)
    payload = None if sealed is None else _opened(sealed, secret)
    if payload is None:
        return None
    state, _ = read_json(payload)
    return _taken_over(state, domain, now, policy)


def _joined(cookies: Mapping[str, str]) -> str | None:
    chunks: list[str] = []
    while len(chunks) < MOST_CHUNKS:
        chunk = cookies.get(f"{LEGACY_COOKIE}_{len(chunks)}")
        if chunk is None or len(chunk) > _CHUNK:
            break
        chunks.append(chunk)
        # What is behind a chunk that is not full is left from a longer session.
        if len(chunk) < _CHUNK:
            break
    if chunks:
        return "".join(chunks)
    whole = cookies.get(LEGACY_COOKIE)
    return whole if whole is not None and len(whole) <= _CHUNK else None


def _opened(sealed: str, secret: str) -> bytes | None:
    if not sealed.startswith(_HEADER):
        return None
    # Most clients never need the JOSE library for this.
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from joserfc import jwe
    from joserfc.errors import JoseError
    from joserfc.jwk import OctKey

    # The cookie's name is what the SDK salts with.
    derivation = HKDF(SHA256(), _KEY_BYTES, LEGACY_COOKIE.encode(), _INFO)
    octets = derivation.derive(secret.encode("utf-8", "surrogatepass"))
    key = OctKey.import_key(octets)
    try:
        return jwe.decrypt_compact(sealed, key, algorithms=_ALGORITHMS).plaintext
    except (JoseError, ValueError):
        return None


def _taken_over(
    theirs: object, domain: str, now: float, policy: SessionPolicy
) -> State | None:
    if not isinstance(theirs, dict):
        return None
    user, internal = _user(theirs, domain), theirs.get("internal")
    token_sets = theirs.get("token_sets")
    if user is None or not isinstance(internal, dict):
        return None
    created = internal.get("created_at")
    ends = _ends(user, internal)
    if not is_whole_date(created) or ends is None or not isinstance(token_sets, list):
        return None
    sets = [_token_set(each) for each in token_sets]
    state = {
        "user": user,
        "id_token": theirs.get("id_token"),
        "refresh_token": theirs.get("refresh_token"),
        "token_sets": sets,
        "domain": domain,
        "internal": {
            # Its login makes the first of them.
            "audience": sets[0]["audience"] if sets and sets[0] else DEFAULT_AUDIENCE,
            "sid": internal.get("sid"),
            "created_at": created,
            # The SDK does not note when a session is used; now it is.
            "used_at": int(now),
            "expires_at": int(min([created + policy.absolute_seconds, *ends])),
        },
    }
    return conceal_tokens(with_user(state, user)) if is_session(state) else None


def _user(theirs: Mapping[str, Any], domain: str) -> dict[str, Any] | None:
    """Give the claims of a user of this tenant."""
    user, issuer = theirs.get("user"), issuer_url(domain)
    if not isinstance(user, dict) or not user.get("sub"):
        return None
    # Its model fills in each claim that a token did not have.
    claims = {name: value for name, value in user.items() if value is not None}
    if claims.get("iss", issuer) != issuer:
        return None
    named = theirs.get("domain")
    if named is None:
        # Its early versions noted no domain; then the token's issuer must tell.
        return claims if "iss" in claims else None
    return {"iss": issuer, **claims} if _normalised(named) == domain else None


def _normalised(domain: Any) -> str | None:
    # It keeps a domain as the application's configuration has it.
    try:
        return normalise_domain(domain)
    except InvalidInputError:
        return None


def _ends(user: Mapping[str, Any], internal: Mapping[str, Any]) -> list[int] | None:
    """Give when a session ends at the latest; ``None`` where that cannot be understood."""
    # A login by token exchange leaves the ceiling out, and keeps the claim.
    ceilings = (internal.get("session_expires_at"), user.get("session_expiry"))
    given = [each for each in ceilings if each is not None]
    return given if all(map(is_whole_date, given)) else None


def _token_set(theirs: object) -> dict[str, Any] | None:
    if not isinstance(theirs, dict):
        return None
    # After a refresh without an audience it notes None, and looks for "default".
    audience = theirs.get("audience")
    return {
        "audience": DEFAULT_AUDIENCE if audience is None else audience,
        "access_token": theirs.get("access_token"),
        "scope": theirs.get("scope"),
        "requested_scope": None,
        "expires_at": theirs.get("expires_at"),
    }
