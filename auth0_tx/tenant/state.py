"""Everything a tenant knows, in one place: settings, keys, records, limits and log.

Decides nothing and does nothing. Each endpoint is a function of this state and a
request; the state is the only thing that they share. ``issuer`` and the two alterations
are the only attributes that change after the tenant was made: they are set by the
test's thread and read by the connections' threads, each in one step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from attrs import define, field, frozen

from .applications import Application, to_web_urls
from .client_assertion import UsedAssertions
from .directory import Api, Connection, Organization, User
from .http_messages import Reply
from .keys import DEFAULT_ALGORITHM, SigningAlgorithm, SigningKeys
from .legacy_system import LegacySystem
from .limits import AttemptThrottle, RateLimiter
from .opaque_tokens import AccessToken, OpaqueTokens, SessionTransfer
from .profiles import Profile
from .refresh_tokens import RefreshTokens
from .registry import History, Registry
from .wording import Wording, format_changes

ClaimsAlteration = Callable[[dict[str, Any]], Mapping[str, Any]]
ReplyAlteration = Callable[[Reply], Reply]

# The types are Auth0's: "s" for success, "f" for failure, then the grant or event.
LogType = Literal[
    "secte",
    "fecte",
    "sertft",
    "fertft",
    "ferrt",
    "srrt",
    "slo",
    "flo",
    "oidc_backchannel_logout_succeeded",
    "oidc_backchannel_logout_failed",
]


@frozen(kw_only=True)
class LogEvent:
    """One entry of the tenant's log: why a request went as it did.

    A reply often says less, so that it does not help an attacker. The types are those
    of Auth0's tenant log; of each entry, the tenant has the members that help a test.

    Args:
        type: "secte" for a token exchange that succeeded, "fecte" for one that failed;
            "sertft" and "fertft" for a refresh, "ferrt" for one with a token already
            used; "srrt" for a revocation; "slo" and "flo" for a browser's logout, and
            the last two for a back-channel one.
        date: When, in seconds of the tenant's clock.
        description: Why it failed, in full.
        client_id: The application's, if it authenticated.
        user_id: The user's, if it is known.
        subject_token_type: As requested.
        actor: The actor that the Action set.
        metadata: The values that the Action set with ``api.transaction.set_metadata``.
        ip: The address that the request counts against.
    """

    type: LogType
    date: float
    description: str = ""
    client_id: str | None = None
    user_id: str | None = None
    subject_token_type: str | None = None
    actor: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(factory=dict)
    ip: str = ""


@frozen(kw_only=True, repr=False)
class Settings:
    """The settings of a tenant, and its answers where Auth0 documents none.

    Its repr shows the settings that differ from the defaults.

    Args:
        tenant_id: Shown to Actions as ``event.tenant.id``.
        default_audience: The API of a request that names none; ``None`` issues an
            opaque token, good for /userinfo only.
        organization_names: Whether ``organization`` may be a name, and tokens carry
            ``org_name``.
        resource_parameter: Whether ``resource`` may stand for ``audience``.
        always_send_scope: Whether ``scope`` is sent even when it equals the one
            requested; Auth0 documents that it is not.
        refuse_repeated_parameters: Whether a parameter of the protocol sent twice is
            refused (RFC 6749 3.2). Extension parameters may always repeat.
        actor_token_withholds_refresh_token: Whether an actor_token alone, without
            ``set_actor``, withholds the refresh token; Auth0's pages disagree.
        refuse_other_refresh_audience: Whether a refresh for an audience outside the
            application's policies is refused; Auth0 answers with a token for the
            audience first granted.
        reserved_by_prefix: Whether "https://auth0.com.example" counts as reserved.
        session_ids: Whether ID tokens have a ``sid``; at Auth0 a token exchange creates
            no session, so that there is none.
        allowed_logout_urls: Where a logout that names no application may return to.
        cache_control: The Cache-Control of discovery and of the JWKS.
        history: How many requests, log entries and opaque tokens are kept; older ones
            are forgotten, though still counted.
        idle_seconds: How long an idle connection stays open.
    """

    tenant_id: str = "local"
    default_audience: str | None = None
    organization_names: bool = False
    resource_parameter: bool = False
    always_send_scope: bool = False
    refuse_repeated_parameters: bool = True
    actor_token_withholds_refresh_token: bool = True
    refuse_other_refresh_audience: bool = False
    reserved_by_prefix: bool = False
    session_ids: bool = False
    allowed_logout_urls: tuple[str, ...] = field(default=(), converter=to_web_urls)
    # As Auth0 sends it.
    cache_control: str = field(
        default="public, max-age=15, stale-while-revalidate=15, stale-if-error=86400"
    )
    history: int = 10_000
    idle_seconds: float = 60.0

    def __repr__(self) -> str:
        """Return the settings that differ from the defaults."""
        return format_changes(self)


@define(kw_only=True, eq=False)
class TenantState:
    """One tenant's configuration, keys, records and limits.

    ``issuer`` is empty until the tenant has a port.
    """

    issuer: str = ""
    clock: Callable[[], float]
    new_id: Callable[[], str] = field(repr=False)
    wording: Wording = field(repr=False)
    settings: Settings
    keys: SigningKeys = field(repr=False)
    legacy: LegacySystem = field(repr=False)
    applications: Registry[Application]
    apis: Registry[Api]
    users: Registry[User]
    user_connections: Registry[Connection]
    organizations: Registry[Organization]
    profiles: Registry[Profile]
    refresh_tokens: RefreshTokens = field(repr=False)
    access_tokens: OpaqueTokens[AccessToken] = field(repr=False)
    session_transfers: OpaqueTokens[SessionTransfer] = field(repr=False)
    used_assertions: UsedAssertions = field(repr=False)
    throttle: AttemptThrottle | None
    rate_limiter: RateLimiter | None
    logs: History[LogEvent] = field(repr=False)
    id_token_alteration: ClaimsAlteration | None = None
    reply_alteration: ReplyAlteration | None = None

    @property
    def domain(self) -> str:
        """Return the issuer's host, with its port."""
        return urlsplit(self.issuer).netloc

    @property
    def algorithms(self) -> tuple[SigningAlgorithm, ...]:
        """Return the algorithms that some token may be signed with, RS256 first."""
        # A dictionary and not a set: the JWKS keeps one order.
        used: dict[SigningAlgorithm, None] = {DEFAULT_ALGORITHM: None}
        for application in self.applications:
            # HS256 signs with the client's secret, which must not be published.
            if application.id_token_signing_algorithm != "HS256":
                used[application.id_token_signing_algorithm] = None
        for api in self.apis:
            used[api.signing_algorithm] = None
        return tuple(used)
