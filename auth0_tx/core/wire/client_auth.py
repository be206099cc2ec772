"""How a client authenticates at the token endpoint (RFC 6749 section 2.3, RFC 7523).

Each method is a value made once, when the client is configured: encoding a secret and
importing a key are done then, and mistakes are reported then.  For each attempt it adds
its form parameters and headers to the request.  A secret is the same every time; an
assertion is signed anew (see ``private_key_jwt``).

Exactly one method is used in a request (RFC 6749 section 2.3): a client that sends its
secret both in the header and in the form is refused by strict servers.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias
from urllib.parse import quote_plus

import attrs

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

# The algorithms that Auth0 accepts for assertions, each with the kind of key it needs.
SIGNING_ALGORITHMS = {
    "RS256": "RSA",
    "RS384": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "ES256": "P-256",
    "ES384": "P-384",
}


class ClientAuthentication(Protocol):
    """A method's part of a request to the token endpoint."""

    @property
    def form(self) -> str | None:
        """Return the form parameters if they are the same for every request."""
        ...

    @property
    def headers(self) -> dict[str, str]:
        """Return all headers of the request, credentials included if the method has any."""
        ...

    def encode_parameters(self, issuer: str, clock: Clock, new_id: NewId) -> str:
        """Encode the form parameters that identify, and may authenticate, the client."""
        ...


@attrs.define(eq=False, repr=False)
class StaticCredentials:
    """The client's id, and its secret if it has one, encoded once.

    They are in the form, or in the ``Authorization`` header (RFC 6749 section 2.3.1): then
    the form has none, as section 2.3 forbids a second method in one request.
    """

    form: str = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(default=FORM_HEADERS, repr=False)

    def encode_parameters(self, issuer: str, clock: Clock, new_id: NewId) -> str:
        """Return the parameters."""
        return self.form


def build_client_authentication(
    method: ClientAuthMethod,
    client_id: str,
    client_secret: str | None,
    signing_key: object,
    algorithm: str,
) -> ClientAuthentication:
    """Build the method that a client was configured with.

    Raises:
        ConfigurationError: the signing key cannot sign with *algorithm*.
    """
    if method == "private_key_jwt":
        # Here and not at the top: most clients have a secret.
        from .private_key_jwt import PrivateKeyJwt, load_signing_key

        return PrivateKeyJwt(
            client_id, algorithm, load_signing_key(signing_key, algorithm)
        )
    identity = f"client_id={quote_plus(client_id)}"
    if method == "none":
        return StaticCredentials(SecretStr(identity))
    assert client_secret is not None
    if method == "client_secret_post":
        return StaticCredentials(
            SecretStr(f"{identity}&client_secret={quote_plus(client_secret)}")
        )
    # RFC 6749 section 2.3.1: each half is form-encoded before they are joined, so that a
    # colon in the id does not end it.
    halves = SecretStr(f"{quote_plus(client_id)}:{quote_plus(client_secret)}")
    basic = SecretStr("Basic " + b64encode(halves.encode()).decode())
    return StaticCredentials("", {**FORM_HEADERS, "Authorization": basic})
