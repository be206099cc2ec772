"""A client that proves itself with a signed assertion (RFC 7523), and the key that signs it.

The key is imported and checked once, when the client is configured.  An assertion is signed
anew for each attempt, with a time and an id that come in as arguments: the server remembers
its ``jti`` and refuses a repeated one as a replay (RFC 7523 section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

import attrs

from ...errors import ConfigurationError
from ...secret import SecretStr
from .client_auth import FORM_HEADERS, SIGNING_ALGORITHMS, Clock, NewId

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# Seconds.  Auth0 advises one minute and refuses more than five.
ASSERTION_LIFETIME = 60
# The curves by the names of the cryptography library.
_CURVES = {"P-256": "secp256r1", "P-384": "secp384r1"}


@attrs.define(eq=False, repr=False)
class PrivateKeyJwt:
    """A short-lived assertion, signed anew for each attempt (RFC 7523 section 2.2)."""

    client_id: str
    algorithm: str
    _key: Any = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(default=FORM_HEADERS, repr=False)
    form: None = attrs.field(init=False, default=None)

    def encode_parameters(self, issuer: str, clock: Clock, new_id: NewId) -> str:
        """Sign an assertion for *issuer*, which Auth0 wants as ``aud`` with its slash."""
        # Imported here: clients with a secret need no JOSE library.
        from authlib.oauth2.rfc7523 import private_key_jwt_sign

        # RFC 7515 4.1.4: a hint at which of the client's keys it is.  A PEM has none.
        header = {"kid": self._key.kid} if self._key.kid else {}
        assertion = SecretStr(
            private_key_jwt_sign(
                self._key,
                self.client_id,
                issuer,
                alg=self.algorithm,
                issued_at=int(clock()),
                expires_in=ASSERTION_LIFETIME,
                header=header,
                claims={"jti": new_id()},
            )
        )
        return SecretStr(
            f"client_id={quote_plus(self.client_id)}"
            f"&client_assertion_type={quote_plus(ASSERTION_TYPE)}"
            f"&client_assertion={assertion}"
        )


def load_signing_key(source: object, algorithm: str) -> Any:
    """Import the signing key once: reading a PEM costs more than many signatures.

    Raises:
        ConfigurationError: it cannot sign with *algorithm*.
    """
    # The rule is returned and raised here, outside the handler in _import_key: errors of
    # the JOSE libraries quote parts of the key, and must not be chained to ours.
    key, rule = _import_key(source, algorithm)
    if rule is not None:
        raise ConfigurationError(
            f"client_assertion_signing_key {rule}",
            parameter="client_assertion_signing_key",
        )
    return key


def _import_key(source: object, algorithm: str) -> tuple[Any, str | None]:
    """Import and check a key; return it and ``None``, or ``None`` and the broken rule."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, RSAKey

    family = SIGNING_ALGORITHMS[algorithm]
    kind = RSAKey if family == "RSA" else ECKey
    rule = f"must be a {family} private key for {algorithm}"
    if not isinstance(source, (str, bytes, Mapping, RSAKey, ECKey)):
        return None, "must be PEM text, a JWK or a joserfc key"
    key: Any = source
    try:
        if not isinstance(source, (RSAKey, ECKey)):
            key = kind.import_key(_to_jwk_or_pem(source))
        # RFC 7517 sections 4.2 to 4.4: the purposes that the JWK itself states.
        key.check_use("sig")
        key.check_alg(algorithm)
        key.check_key_op("sign")
    # joserfc and cryptography report a malformed key in all of these ways: text that is not
    # a key, a JWK with a number for a member, JSON nested a hundred thousand levels deep.
    except (
        JoseError,
        UnsupportedAlgorithm,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ):
        return None, rule + ", as PEM text or a JWK"
    # A joserfc key comes in as it is, so its kind is still to be checked.
    if not isinstance(key, kind):
        return None, rule
    # RFC 7518 section 3.4: each algorithm has one curve.
    if isinstance(key, ECKey) and key.raw_value.curve.name != _CURVES[family]:
        return None, rule
    # RFC 7518 section 3.3: a key of size 2048 bits or larger MUST be used.
    if isinstance(key, RSAKey) and key.public_key.key_size < 2048:
        return None, "must have at least 2048 bits"
    return key, None


def _to_jwk_or_pem(source: Any) -> Any:
    """Return a JWK as a dictionary, and PEM text as it is."""
    import json

    if isinstance(source, Mapping):
        return dict(source)
    text = source.decode("utf-8") if isinstance(source, bytes) else source
    return json.loads(text) if text.lstrip().startswith("{") else text
