"""The tenant itself: the object that a test or a demo starts and asks.

``Tenant`` wires the parts together and forwards to them; it has no behaviour of its own.
The state (``state.py``) holds everything the tenant knows, ``default_content.py`` fills it,
the service (``service.py``) answers requests from it, and the server (``server.py``) serves
the service on a socket.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeAlias

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

# As in typeshed: a checker that insisted on ``None`` would refuse ``verify=tenant.ca_file``
# for a tenant over TLS, where it is always text.
MaybeNone: TypeAlias = Any


def _new_id() -> str:
    return secrets.token_urlsafe(32)


class Tenant:
    """A local Auth0 tenant on a loopback port, over TLS with its own CA.

    Start it with ``with Tenant() as tenant:`` or ``start()``. Point a client at its
    ``domain``, ``client_id`` and ``client_secret``, with ``verify=tenant.ca_file``. Change a
    record with its registry: ``tenant.users.change("auth0|bob", blocked=True)``.

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

    Attributes:
        applications: By client_id.
        apis: By identifier.
        users: By user_id.
        user_connections: Where users come from, by name; ``connections`` counts sockets.
        organizations: By id.
        profiles: The token exchange profiles, by subject_token_type.
        refresh_tokens: Those issued, by token, until their family ends.
        ca_file: The path of the CA's certificate, for ``verify=``; ``None`` without TLS.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        tls: bool = True,
        clock: Callable[[], float] = time.time,
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
        """Listen and serve; a restart takes the same port.

        Raises:
            RuntimeError: It is running.
            OSError: The port is taken.
        """
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

    # -- where it is --------------------------------------------------------------

    @property
    def domain(self) -> str:
        """Return a client's ``domain=``, such as "localhost:54321"."""
        return self._state.domain if self._tls else self.issuer.removesuffix("/")

    @property
    def issuer(self) -> str:
        """Return the issuer, with its trailing slash; ``RuntimeError`` before a start."""
        if not self._state.issuer:
            raise RuntimeError("the tenant has no issuer before it is started")
        return self._state.issuer

    # -- tokens and keys ----------------------------------------------------------

    def subject_token(
        self, sub: str, /, *, expires_in: float = 3600, **claims: Any
    ) -> str:
        """Return a token of the legacy system that the default Action verifies.

        Args:
            sub: The user it is for, such as "auth0|alice".
            expires_in: Its life in seconds; negative for one that has expired.
            **claims: More claims, which replace its own.
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
        """Return an ID token of this tenant, which can be an actor_token.

        ``audience`` is a client_id, the default application's unless given; the rest as
        for ``subject_token``.
        """
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
        """Return a user's access token for an API.

        Args:
            sub: The user it is for, such as "auth0|alice".
            audience: The API's identifier.
            scope: Its scopes, separated by spaces; ``None`` for all of the API's.
            actor: The ``act`` claim.
            expires_in: Its life in seconds; negative for one that has expired.

        Raises:
            ValueError: The tenant has no such user, or no such API.
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
        """Use ``token`` up, as /authorize would, and return its record.

        Raises:
            ValueError: It is unknown, used or expired.
        """
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
        """Return a back-channel logout token of this tenant.

        Args:
            user_id: Its ``sub``.
            client_id: Its ``aud``; the default application's if ``None``.
            session_id: Its ``sid``.
            typ: The ``typ`` in its header; Auth0's samples have "JWT".
            **changes: Claims that replace its own; ``None`` leaves one out.
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
        """Post a logout token to the application, and return the answer's status.

        Blocks: use a thread if the application runs in this thread's event loop. The
        token is that of ``logout_token``.

        Args:
            user_id: The user who is logged out.
            client_id: The application; the default one if ``None``.
            session_id: The session that is ended.
            verify: The path of a CA trusted beside the system's and the tenant's own;
                ``False`` checks no certificate.
            timeout: How many seconds each step may take.
            **changes: Claims, and ``typ``, as for ``logout_token``.

        Raises:
            ValueError: Its ``backchannel_logout_uri`` is unset or not on loopback.
            OSError: It cannot be reached.
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
        """Return ``claims`` signed as they are with the current RS256 key.

        ``header`` has more members of the JWT's header, such as ``typ="logout+jwt"``.
        """
        return self._state.keys.sign(claims, "RS256", header)

    def rotate_signing_key(self) -> None:
        """Sign with the next key from now on; the one before keeps verifying."""
        self._state.keys.rotate()

    def revoke_previous_key(self) -> None:
        """Withdraw the keys rotated away: tokens that they signed stop verifying."""
        self._state.keys.revoke_previous()

    # -- what it received ---------------------------------------------------------

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
        """Forget requests, logs, throttled attempts, faults and alterations.

        Users, tokens, keys and open connections stay.
        """
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
        """Play a fault of ``auth0_tx.tenant.faults`` for requests to come, in turn.

        ``path`` says for which requests, ``None`` for any; ``times`` how often, ``None``
        until ``clear()``. A fault of the handshake has no path.
        """
        self._service.inject(fault, path, times)

    def alter_id_token(self, alteration: ClaimsAlteration | None) -> None:
        """Change every ID token's claims with ``alteration`` before they are signed."""
        self._state.id_token_alteration = alteration

    def alter_reply(self, alteration: ReplyAlteration | None) -> None:
        """Change every reply of the token endpoint with ``alteration``.

        As in ``tenant.alter_reply(lambda reply: reply.without("id_token"))``.
        """
        self._state.reply_alteration = alteration

    def drop_connections(self) -> None:
        """Close every open connection, as a server does with idle ones."""
        self._server.drop_connections()

    # -- without sockets ----------------------------------------------------------

    def respond(self, request: ReceivedRequest) -> Reply:
        """Return the reply to ``request`` without a socket; it is not in ``requests``."""
        return respond(self._state, request)

    def _set_issuer(self) -> None:
        scheme = "https" if self._tls else "http"
        self._state.issuer = f"{scheme}://localhost:{self._server.port}/"
