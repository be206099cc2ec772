"""How a tenant behaves where Auth0 has a tenant setting, or no documented answer."""

from __future__ import annotations

from attrs import field, frozen

from .applications import web_urls


@frozen(kw_only=True)
class Settings:
    """Hold the settings of one tenant.

    Args:
        tenant_id: Shown to Actions as `event.tenant.id`.
        default_audience: The API used when a request names none; None issues an
            opaque token, good for /userinfo only.
        organization_names: Whether `organization` may be a name, and tokens carry
            `org_name`.
        resource_parameter: Whether `resource` may stand for `audience`.
        always_send_scope: Whether `scope` is sent even when it equals the one
            requested; Auth0 documents that it is not.
        refuse_repeated_parameters: Whether a parameter of the protocol sent twice is
            refused (RFC 6749 3.2). Extension parameters may always repeat.
        actor_token_withholds_refresh_token: Whether an actor_token alone, without
            `set_actor`, withholds the refresh token; Auth0's pages disagree.
        refuse_other_refresh_audience: Whether a refresh for an audience that the
            application's policies do not have is refused; Auth0 answers with a token
            for the audience first granted.
        reserved_by_prefix: Whether "https://auth0.com.example" counts as reserved.
        session_ids: Whether ID tokens have a `sid`; Auth0 makes no session in a token
            exchange, so that there is none.
        allowed_logout_urls: Where a logout that names no application may return to.
        cache_control: The Cache-Control of discovery and of the JWKS.
        history: How many requests, log entries and opaque access tokens are kept; older
            ones are forgotten, though still counted.
        idle_seconds: How long an idle connection is kept open.
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
    allowed_logout_urls: tuple[str, ...] = field(default=(), converter=web_urls)
    cache_control: str = field(
        default="public, max-age=15, stale-while-revalidate=15, stale-if-error=86400"
    )
    history: int = 10_000
    idle_seconds: float = 60.0
