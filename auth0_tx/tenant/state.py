"""Everything a tenant knows, in one place. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field

from .access_tokens import AccessToken
from .applications import Application
from .client_assertion import UsedAssertions
from .directory import Api, Connection, Organization, User
from .history import History
from .http_messages import Reply
from .keys import DEFAULT_ALGORITHM, SigningAlgorithm, SigningKeys
from .legacy_system import LegacySystem
from .limits import AttemptThrottle, RateLimiter
from .logs import LogEvent
from .opaque_tokens import OpaqueTokens
from .profiles import Profile
from .refresh_tokens import RefreshTokens
from .registry import Registry
from .session_transfers import SessionTransfer
from .settings import Settings
from .wording import Wording

ClaimsAlteration = Callable[[dict[str, Any]], Mapping[str, Any]]
ReplyAlteration = Callable[[Reply], Reply]


@define(kw_only=True, eq=False)
class TenantState:
    """Hold one tenant's configuration, keys, records and limits.

    `issuer` is known once the tenant has a port.
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
        """Return the algorithms some token may be signed with, RS256 first."""
        used: dict[SigningAlgorithm, None] = {DEFAULT_ALGORITHM: None}
        for application in self.applications:
            # HS256 signs with the client's secret: it has no place in a JWKS.
            if application.id_token_signing_algorithm != "HS256":
                used[application.id_token_signing_algorithm] = None
        for api in self.apis:
            used[api.signing_algorithm] = None
        return tuple(used)
