"""The applications of a tenant, called clients in tokens, and what each may do.

The defaults are what a first try needs, not always what a new application at Auth0 has:
there, Custom Token Exchange is off until it is enabled, and so is much else. A test
that depends on a setting should set it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import field, frozen
from attrs.validators import ge
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from .keys import SigningAlgorithm

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
REFRESH_TOKEN = "refresh_token"

AuthMethod = Literal[
    "client_secret_post", "client_secret_basic", "private_key_jwt", "none"
]
OrganizationUsage = Literal["deny", "allow", "require"]
CredentialLike = str | bytes | Mapping[str, Any]


@frozen
class Credential:
    """A public key with which an application authenticates, and its identifier."""

    kid: str
    key: RSAKey | ECKey = field(repr=False)


def _to_credential(value: CredentialLike | Credential) -> Credential:
    if isinstance(value, Credential):
        return value
    try:
        key = _parse_jwk(value) if isinstance(value, Mapping) else _parse_pem(value)
    except (JoseError, UnsupportedAlgorithm, ValueError, KeyError) as error:
        raise ValueError("a credential must be a public PEM or JWK") from error
    # Auth0 names an uploaded PEM by its thumbprint; a JWK may bring its own kid.
    return Credential(key.kid or key.thumbprint(), key)


def _parse_jwk(jwk: Mapping[str, Any]) -> RSAKey | ECKey:
    # "d" is the private part of both kinds (RFC 7518 6.2.2, 6.3.2): whoever hands it to
    # the server has published it.
    if "d" in jwk:
        raise ValueError("the JWK holds a private key")
    kinds: Mapping[str, type[RSAKey | ECKey]] = {"RSA": RSAKey, "EC": ECKey}
    return kinds[jwk["kty"]].import_key(dict(jwk))


def _parse_pem(pem: str | bytes) -> RSAKey | ECKey:
    public_key = load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
    if isinstance(public_key, rsa.RSAPublicKey):
        return RSAKey(public_key, public_key)
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return ECKey(public_key, public_key)
    raise ValueError("the key is neither RSA nor EC")


def _to_credentials(values: Iterable[CredentialLike]) -> tuple[Credential, ...]:
    return tuple(_to_credential(value) for value in values)


def _to_frozenset(values: Iterable[str]) -> frozenset[str]:
    # A string iterates over its characters: refuse it instead of storing letters.
    if isinstance(values, str):
        raise TypeError("expected several strings, not one")
    return frozenset(values)


def _to_optional_frozenset(values: Iterable[str] | None) -> frozenset[str] | None:
    return None if values is None else _to_frozenset(values)


def to_web_urls(values: Iterable[str]) -> tuple[str, ...]:
    """Return ``values`` as a tuple of absolute URLs.

    Raises:
        TypeError: ``values`` is one string.
        ValueError: A URL has no scheme.
    """
    if isinstance(values, str):
        raise TypeError("expected several strings, not one")
    urls = tuple(values)
    if not all("://" in url for url in urls):
        raise ValueError("a URL needs its scheme, such as https://")
    return urls


def _to_policies(
    values: Mapping[str, Iterable[str]] | None,
) -> Mapping[str, tuple[str, ...]] | None:
    if values is None:
        return None
    return {
        audience: tuple(sorted(_to_frozenset(scopes)))
        for audience, scopes in values.items()
    }


@frozen
class Application:
    """An application.

    Args:
        client_id: Its identifier.
        client_secret: Its secret; ``None`` for a public application or with
            ``credentials``.
        name: Shown to Actions.
        token_endpoint_auth_method: The one method it may use; ``None`` accepts its
            secret in the body as well as in a Basic header.
        credentials: Public keys for private_key_jwt, as PEM or JWK.
        custom_token_exchange: Whether it may use profiles; off at Auth0 until set.
        grant_types: The grants it may use.
        first_party: Whether it is first-party; others may not exchange.
        oidc_conformant: Whether it is OIDC conformant; others may not exchange.
        organization_usage: Whether ``organization`` is denied, allowed or required;
            "deny" at Auth0 until set.
        connections: The connections enabled for it; ``None`` for all.
        id_token_signing_algorithm: The algorithm that signs its ID tokens; "HS256" uses
            its secret.
        id_token_lifetime: How long an ID token lives, in seconds.
        can_create_session_transfer_token: Whether it may ask for session transfer
            tokens; off at Auth0 until set.
        rotating_refresh_tokens: Whether a refresh token is good for one use, and each
            refresh brings another.
        refresh_token_leeway: For how many seconds the refresh token used last may be
            used again.
        refresh_token_policies: The APIs its refresh tokens are good for beside the one
            each was issued for, and the scopes of each; ``None`` for all, ``{}`` for
            none, as at Auth0 until set.
        allowed_logout_urls: Where /v2/logout may return to; a request that names no
            place goes to the first. ``*`` stands for a subdomain.
        backchannel_logout_uri: The URL that logout tokens are posted to.
        resource_server_identifier: The API that it is; it may exchange that API's
            access tokens on behalf of their users.
        on_behalf_of_grants: The APIs that it may then call, and the scopes of each;
            ``None`` for all.
        trust_forwarded_for: Whether its ``auth0-forwarded-for`` header is believed.
        metadata: Shown to Actions.
    """

    client_id: str = field()
    client_secret: str | None = field(default=None, repr=False)
    name: str = field(default="", kw_only=True)
    token_endpoint_auth_method: AuthMethod | None = field(default=None, kw_only=True)
    credentials: tuple[Credential, ...] = field(
        default=(), kw_only=True, converter=_to_credentials
    )
    custom_token_exchange: bool = field(default=True, kw_only=True)
    grant_types: frozenset[str] = field(
        default=frozenset({TOKEN_EXCHANGE, REFRESH_TOKEN}),
        kw_only=True,
        converter=_to_frozenset,
    )
    first_party: bool = field(default=True, kw_only=True)
    oidc_conformant: bool = field(default=True, kw_only=True)
    organization_usage: OrganizationUsage = field(default="allow", kw_only=True)
    connections: frozenset[str] | None = field(
        default=None,
        kw_only=True,
        converter=_to_optional_frozenset,
    )
    id_token_signing_algorithm: SigningAlgorithm | Literal["HS256"] = field(
        default="RS256", kw_only=True
    )
    id_token_lifetime: int = field(default=36000, kw_only=True)
    can_create_session_transfer_token: bool = field(default=False, kw_only=True)
    rotating_refresh_tokens: bool = field(default=True, kw_only=True)
    refresh_token_leeway: float = field(default=0.0, kw_only=True, validator=ge(0))
    refresh_token_policies: Mapping[str, tuple[str, ...]] | None = field(
        default=None, kw_only=True, converter=_to_policies
    )
    allowed_logout_urls: tuple[str, ...] = field(
        default=(), kw_only=True, converter=to_web_urls
    )
    backchannel_logout_uri: str | None = field(default=None, kw_only=True)
    resource_server_identifier: str | None = field(default=None, kw_only=True)
    on_behalf_of_grants: Mapping[str, tuple[str, ...]] | None = field(
        default=None, kw_only=True, converter=_to_policies
    )
    trust_forwarded_for: bool = field(default=False, kw_only=True)
    metadata: Mapping[str, str] = field(factory=dict, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Refuse an application that could never authenticate.

        Raises:
            ValueError: Its method needs a secret or credentials it does not have.
        """
        method = self.token_endpoint_auth_method
        if not self.client_id:
            raise ValueError("client_id must not be empty")
        if method == "private_key_jwt" and not self.credentials:
            raise ValueError("private_key_jwt needs credentials")
        if method not in ("private_key_jwt", "none") and not self.client_secret:
            raise ValueError(
                "a confidential application needs a client_secret; "
                "a public one needs token_endpoint_auth_method='none'"
            )
        if self.id_token_signing_algorithm == "HS256" and not self.client_secret:
            raise ValueError("HS256 needs a client_secret to sign with")

    def accepts(self, method: AuthMethod) -> bool:
        """Return whether the application may authenticate with ``method``."""
        if self.token_endpoint_auth_method is None:
            return method in ("client_secret_post", "client_secret_basic")
        return method == self.token_endpoint_auth_method
