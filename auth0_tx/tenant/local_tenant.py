"""The tenant itself: the object that a test or a demo starts and asks.

``Tenant`` wires the parts together and forwards to them; it has no behaviour of its
own. The state (``state.py``) holds everything the tenant knows, ``default_content.py``
fills it, the service (``service.py``) answers requests from it, and the server
(``server.py``) serves the service on a socket.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeAlias

from ..clocks import read_time
from .applications import Application
from .backchannel_logout import send_backchannel_logout
from .certificates import Certificates
from .crafted_tokens import craft_access_token, craft_id_token, craft_logout_token
from .default_content import add_default_content, create_state
from .directory import Api, Connection, Organization, User
from .faults import Fault
from .http_messages import ReceivedRequest, Reply
from .keys import KeySupply
from .limits import RateLimit, Throttle
from .opaque_tokens import SessionTransfer
from .profiles import Profile
from .refresh_tokens import RefreshTokens
from .registry import Registry
from .server import Server
from .service import TenantService, respond
from .state import ClaimsAlteration, LogEvent, ReplyAlteration, Settings
from .token_endpoint import PATH
from .wording import Wording

# As in typeshed: a checker that insisted on ``None`` would refuse
# ``verify=tenant.ca_file`` for a tenant over TLS, where it is always text.
MaybeNone: TypeAlias = Any


def _new_id() -> str:
    return secrets.token_urlsafe(32)


class Tenant:
    """A local Auth0 tenant on a loopback port, over TLS with its own CA.

    Give a client its ``domain``, ``client_id``, ``client_secret``, and ``ca_file`` as
    ``verify=``. Its records are in registries, each by its identifier:
    ``applications``, ``apis``, ``users``, ``user_connections``, ``organizations``,
    ``profiles``, ``refresh_tokens``; as in ``tenant.users.change("auth0|bob",
    blocked=True)``.

    Args:
        port: The port; 0 takes a free one, kept over a restart.
        tls: Whether to serve HTTPS.
        clock: Return the time in seconds since the epoch.
        wording: How each rule refuses.
        settings: Tenant settings, and answers where Auth0 documents none.
        throttle: The suspicious-IP throttle, on as at Auth0; ``None`` for none.
        rate_limit: The token endpoint's rate limit; ``None`` for none.
        client_id: The default application's identifier.
        client_secret: Its secret; a random one if ``None``.
        keys: Where signing keys come from; share one between tenants to save time.
        certificates: The server certificate; share one to share a CA file.
        new_id: Return an identifier or token never returned before.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        tls: bool = True,
        clock: Callable[[], float] = read_time,
        wording: Wording = Wording(),
        settings: Settings = Settings(),
        throttle: Throttle | None = Throttle(),
        rate_limit: RateLimit | None = None,
        client_id: str = "local-client",
        client_secret: str | None = None,
        keys: KeySupply | None = None,
        certificates: Certificates | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self.client_id = client_id
        self.client_secret: str = client_secret or secrets.token_urlsafe(48)
        self._tls = tls
        self._certificates = (certificates or Certificates()) if tls else None
        self.ca_file: str | MaybeNone = (
            self._certificates.ca_file if self._certificates else None
        )
        self._cleared_at = 0
        self._state = create_state(
            clock=clock,
            new_id=new_id or _new_id,
            wording=wording,
            settings=settings,
            keys=keys or KeySupply(),
            throttle=throttle,
            rate_limit=rate_limit,
        )
        add_default_content(
            self._state, client_id=self.client_id, client_secret=self.client_secret
        )
        self.applications: Registry[Application] = self._state.applications
        self.apis: Registry[Api] = self._state.apis
        self.users: Registry[User] = self._state.users
        self.user_connections: Registry[Connection] = self._state.user_connections
        self.organizations: Registry[Organization] = self._state.organizations
        self.profiles: Registry[Profile] = self._state.profiles
        self.refresh_tokens: RefreshTokens = self._state.refresh_tokens
        self._service = TenantService(self.respond, clock, settings.history)
        self._server = Server(
            self._service,
            port=port,
            context=self._certificates.server_context() if self._certificates else None,
            clock=clock,
            idle_seconds=settings.idle_seconds,
        )
        # With a port of its own the tenant has an issuer before it is started, and can
        # answer without a socket.
        if port:
            self._set_issuer()

    def __repr__(self) -> str:
        """Return the issuer and whether it runs; never a secret."""
        running = "running" if self._server.running else "stopped"
        return f"<Tenant {self._state.issuer or 'without a port'} {running}>"

    def __enter__(self) -> Self:
        """Start the tenant."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the tenant for good."""
        self.close()

    def start(self) -> Self:
        """Listen and serve, always on the same port; ``OSError`` if it is taken."""
        # Make the signing keys now, or the first exchange would take a second longer.
        self._state.keys.jwks(self._state.algorithms)
        self._server.start()
        self._set_issuer()
        return self

    def stop(self) -> None:
        """Stop serving and end every connection; the records stay. Idempotent."""
        self._server.stop()

    def close(self) -> None:
        """Stop for good, and give the signing keys back to other tenants."""
        self.stop()
        self._state.keys.release()

    # -- address ------------------------------------------------------------------

    @property
    def domain(self) -> str:
        """Return a client's ``domain=``, such as "localhost:54321"."""
        return self._state.domain if self._tls else self.issuer.removesuffix("/")

    @property
    def issuer(self) -> str:
        """Return the issuer, with its trailing slash; ``RuntimeError`` if unstarted."""
        if not self._state.issuer:
            raise RuntimeError("the tenant has no issuer before it is started")
        return self._state.issuer

    @property
    def client_settings(self) -> dict[str, Any]:
        """Return keywords for a client of this tenant: ``ServerClient(**settings)``.

        They are ``domain``, ``client_id``, ``client_secret``, and ``verify`` over TLS.
        """
        settings: dict[str, Any] = {
            "domain": self.domain,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }
        if self.ca_file is not None:
            settings["verify"] = self.ca_file
        return settings

    # -- tokens and keys ----------------------------------------------------------

    def subject_token(
        self, sub: str, /, *, expires_in: float = 3600, **claims: Any
    ) -> str:
        """Return a token of the legacy system that the default Action verifies.

        For the user ``sub``, such as "auth0|alice". ``expires_in`` is in seconds,
        negative for a token that has expired; ``claims`` are added, or replace its own.
        """
        return self._state.legacy.issue_token(sub, expires_in, claims)

    def id_token(
        self,
        sub: str,
        /,
        *,
        audience: str | None = None,
        expires_in: float = 36000,
        **claims: Any,
    ) -> str:
        """Return an ID token for ``audience``, a client_id; can be an actor_token."""
        return craft_id_token(
            self._state,
            sub,
            audience or self.client_id,
            expires_in=expires_in,
            claims=claims,
        )

    def access_token(
        self,
        sub: str,
        /,
        audience: str,
        scope: str | None = None,
        *,
        actor: Mapping[str, Any] | None = None,
        expires_in: float = 86400,
    ) -> str:
        """Return a user's access token for the API ``audience``.

        ``scope`` is all of the API's unless given, ``actor`` the ``act`` claim.
        ``ValueError`` if there is no such user or API.
        """
        return craft_access_token(
            self._state,
            self.client_id,
            sub,
            audience,
            scope=scope,
            actor=actor,
            expires_in=expires_in,
        )

    def redeem_session_transfer_token(self, token: str) -> SessionTransfer:
        """Use ``token`` up, as /authorize does; ``ValueError`` if it is not valid."""
        transfer = self._state.session_transfers.take(token, self._state.clock())
        if transfer is None:
            raise ValueError("unknown, used or expired session transfer token")
        return transfer

    def logout_token(
        self,
        user_id: str | None = None,
        *,
        client_id: str | None = None,
        session_id: str | None = None,
        typ: str = "logout+jwt",
        **changes: Any,
    ) -> str:
        """Return a back-channel logout token.

        The arguments are its ``sub``, ``aud``, ``sid`` and ``typ``, and more claims. A
        claim that is ``None`` is left out.
        """
        return craft_logout_token(
            self._state,
            client_id or self.client_id,
            user_id=user_id,
            session_id=session_id,
            typ=typ,
            changes=changes,
        )

    def send_backchannel_logout(
        self,
        user_id: str | None = None,
        *,
        client_id: str | None = None,
        session_id: str | None = None,
        verify: str | bool = True,
        timeout: float = 10.0,
        **changes: Any,
    ) -> int:
        """Post a ``logout_token`` to the application; return the status of its answer.

        Blocks, for up to ``timeout`` seconds a step. ``verify`` is one more CA to
        trust; ``False`` checks no certificate. ``ValueError`` if the application's
        ``backchannel_logout_uri`` is not on loopback, ``OSError`` if it is unreachable.
        """
        return send_backchannel_logout(
            self._state,
            client_id or self.client_id,
            self.logout_token(
                user_id, client_id=client_id, session_id=session_id, **changes
            ),
            user_id=user_id,
            ca_file=verify if isinstance(verify, str) else self.ca_file,
            checks_certificate=verify is not False,
            timeout=timeout,
        )

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """Return ``claims``, signed with the current RS256 key, under ``header``."""
        return self._state.keys.sign(claims, "RS256", header)

    def rotate_signing_key(self) -> None:
        """Sign with the next key from now on; the one before keeps verifying."""
        self._state.keys.rotate()

    def revoke_previous_key(self) -> None:
        """Withdraw the keys rotated away: tokens that they signed stop verifying."""
        self._state.keys.revoke_previous()

    # -- requests received --------------------------------------------------------

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """Return the requests received since the last ``clear()``, oldest first."""
        return self._service.requests

    @property
    def connections(self) -> int:
        """Return how many connections were accepted since the last ``clear()``."""
        return self._server.accepted - self._cleared_at

    @property
    def logs(self) -> tuple[LogEvent, ...]:
        """Return the tenant's log since the last ``clear()``, oldest first."""
        return self._state.logs.items

    def count(self, path: str) -> int:
        """Return how many requests of ``path`` came since the last ``clear()``."""
        return self._service.count(path)

    def clear(self) -> None:
        """Forget requests, logs, attempts, faults and alterations; the records stay."""
        self._service.clear()
        self._state.logs.clear()
        self._state.id_token_alteration = self._state.reply_alteration = None
        if self._state.throttle is not None:
            self._state.throttle.clear()
        self._cleared_at = self._server.accepted

    # -- failures on request ------------------------------------------------------

    def inject(
        self, fault: Fault, *, path: str | None = PATH, times: int | None = 1
    ) -> None:
        """Play a fault of ``auth0_tx.tenant.faults`` for the next requests of ``path``.

        ``times`` is how often, ``None`` until ``clear()``; several are played in turn.
        """
        self._service.inject(fault, path, times)

    def alter_id_token(self, alteration: ClaimsAlteration | None) -> None:
        """Change the claims of every ID token before they are signed."""
        self._state.id_token_alteration = alteration

    def alter_reply(self, alteration: ReplyAlteration | None) -> None:
        """Change every token reply: ``lambda reply: reply.without("id_token")``."""
        self._state.reply_alteration = alteration

    def drop_connections(self) -> None:
        """Close every open connection, as a server does with idle ones."""
        self._server.drop_connections()

    # -- without sockets ----------------------------------------------------------

    def respond(self, request: ReceivedRequest) -> Reply:
        """Return the reply to ``request``, without a socket and without a record."""
        return respond(self._state, request)

    def _set_issuer(self) -> None:
        scheme = "https" if self._tls else "http"
        self._state.issuer = f"{scheme}://localhost:{self._server.port}/"
