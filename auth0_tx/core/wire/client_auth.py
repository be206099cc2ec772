"""How a client proves itself to the token endpoint (RFC 6749 section 2.3, RFC 7523).

Each method is a value that, given an issuer, a time and an id, gives the form parameters
and headers to add.  Time and ids are arguments: an attempt that is sent again must be
signed again, or the server refuses its assertion as replayed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeAlias
from urllib.parse import quote_plus

import attrs

from ...errors import ConfigurationError
from ...secret import SecretStr
from ..effects import COMMON_HEADERS

ClientAuthMethod: TypeAlias = Literal[
    "client_secret_post", "client_secret_basic", "private_key_jwt", "none"
]
Clock: TypeAlias = Callable[[], float]
NewId: TypeAlias = Callable[[], str]

METHODS = ("client_secret_post", "client_secret_basic", "private_key_jwt", "none")

FORM_HEADERS = {
    **COMMON_HEADERS,
    "Content-Type": "application/x-www-form-urlencoded",
}

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# Auth0 advises one minute and refuses more than five.
ASSERTION_LIFETIME = 60
SIGNING_ALGORITHMS = {
    "RS256": "RSA",
    "RS384": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "ES256": "P-256",
    "ES384": "P-384",
}
# What the cryptography library calls the curves.
_CURVES = {"P-256": "secp256r1", "P-384": "secp384r1"}


class ClientAuthentication(Protocol):
    """What a method adds to a request to the token endpoint."""

    def parameters(self, issuer: str, clock: Clock, new_id: NewId) -> str:
        """Encode the form parameters that identify, and may prove, the client."""
        ...

    @property
    def headers(self) -> dict[str, str]:
        """Give the headers of the request, the client's proof among them if it is there."""
        ...


@attrs.frozen
class FormCredentials:
    """The client's id, and its secret where it has one, in the form."""

    _form: str = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(default=FORM_HEADERS, repr=False)

    def parameters(self, issuer: str, clock: Clock, new_id: NewId) -> str:
        """Give what was encoded once."""
        return self._form


@attrs.frozen
class BasicCredentials:
    """The client's id and secret in the ``Authorization`` header (RFC 6749 section 2.3.1)."""

    headers: dict[str, str] = attrs.field(repr=False)

    def parameters(self, issuer: str, clock: Clock, new_id: NewId) -> str:
        """Give none: RFC 6749 section 2.3 forbids a second way beside the header."""
        return ""


@attrs.frozen
class PrivateKeyJwt:
    """A short-lived assertion, signed anew for each attempt (RFC 7523 section 2.2)."""

    client_id: str
    algorithm: str
    _key: Any = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(default=FORM_HEADERS, repr=False)

    def parameters(self, issuer: str, clock: Clock, new_id: NewId) -> str:
        """Sign an assertion for *issuer*, which Auth0 wants as ``aud`` with its slash."""
        from authlib.oauth2.rfc7523 import private_key_jwt_sign

        header = {"kid": self._key.kid} if self._key.kid else {}
        assertion = private_key_jwt_sign(
            self._key,
            self.client_id,
            issuer,
            alg=self.algorithm,
            issued_at=int(clock()),
            expires_in=ASSERTION_LIFETIME,
            header=header,
            claims={"jti": new_id()},
        )
        return (
            f"client_id={quote_plus(self.client_id)}"
            f"&client_assertion_type={quote_plus(ASSERTION_TYPE)}"
            f"&client_assertion={assertion}"
        )


def build_client_authentication(
    method: ClientAuthMethod,
    client_id: str,
    client_secret: str | None,
    signing_key: object,
    algorithm: str,
) -> ClientAuthentication:
    """Make the method that a client was configured with.

    Raises:
        ConfigurationError: what the method needs is missing, or is not for it.
    """
    if method == "private_key_jwt":
        return PrivateKeyJwt(client_id, algorithm, _held_key(signing_key, algorithm))
    identity = f"client_id={quote_plus(client_id)}"
    if method == "none":
        return FormCredentials(SecretStr(identity))
    assert client_secret is not None
    if method == "client_secret_post":
        secret = f"{identity}&client_secret={quote_plus(client_secret)}"
        return FormCredentials(SecretStr(secret))
    # RFC 6749 section 2.3.1: each half is form-encoded before they are joined.
    halves = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    basic = SecretStr("Basic " + b64encode(halves.encode()).decode())
    return BasicCredentials({**FORM_HEADERS, "Authorization": basic})


def _held_key(given: object, algorithm: str) -> Any:
    """Import the signing key once: reading a PEM costs more than many signatures."""
    key, rule = _import_key(given, algorithm)
    if rule is not None:
        raise ConfigurationError(
            f"client_assertion_signing_key {rule}",
            parameter="client_assertion_signing_key",
        )
    return key


def _import_key(given: object, algorithm: str) -> tuple[Any, str | None]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, RSAKey

    family = SIGNING_ALGORITHMS[algorithm]
    kind = RSAKey if family == "RSA" else ECKey
    what = (
        f"must be a {'RSA' if family == 'RSA' else family} private key for {algorithm}"
    )
    if not isinstance(given, (str, bytes, Mapping, RSAKey, ECKey)):
        return None, "must be PEM text, a JWK or a joserfc key"
    key: Any = given
    try:
        if not isinstance(given, (RSAKey, ECKey)):
            key = kind.import_key(_jwk_or_pem(given))
        # RFC 7517 sections 4.2 to 4.4: what the JWK itself says it is for.
        key.check_use("sig")
        key.check_alg(algorithm)
        key.check_key_op("sign")
    except (
        JoseError,
        UnsupportedAlgorithm,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ):
        return None, what + ", as PEM text or a JWK"
    if not isinstance(key, kind):
        return None, what
    if isinstance(key, ECKey) and key.raw_value.curve.name != _CURVES[family]:
        return None, what
    if isinstance(key, RSAKey) and key.public_key.key_size < 2048:
        # RFC 7518 section 3.3
        return None, "must have at least 2048 bits"
    return key, None


def _jwk_or_pem(given: Any) -> Any:
    import json

    if isinstance(given, Mapping):
        return dict(given)
    text = given.decode("utf-8") if isinstance(given, bytes) else given
    return json.loads(text) if text.lstrip().startswith("{") else text
