"""The tenant itself: what a test or a demo holds in its hands."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from .applications import Application
from .authorization_server import respond
from .backchannel_logout import crafted_logout_token, send_backchannel_logout
from .certificates import Certificates
from .default_content import add_default_content, new_state
from .directory import Api, Connection, Organization, User
from .faults import Fault
from .front import Front
from .http_messages import ReceivedRequest, Reply
from .keys import KeySupply
from .limits import RateLimit, Throttle
from .logs import LogEvent
from .profiles import Profile
from .refresh_tokens import RefreshTokens
from .registry import Registry
from .server import Server
from .session_transfers import SessionTransfer
from .settings import Settings
from .state import ClaimsAlteration, ReplyAlteration
from .token_endpoint import PATH
from .tokens import crafted_access_token, crafted_id_token, split_scope
from .wording import Wording


def _new_id() -> str:
    return secrets.token_urlsafe(32)


class Tenant:
    """Run a local Auth0 tenant on loopback, over TLS with a CA of its own.

    Args:
        port: The port; 0 takes a free one, kept over a restart.
        tls: Whether to serve HTTPS.
        clock: Return the time in seconds since the epoch.
        wording: How each rule refuses.
        settings: Tenant settings, and answers to what Auth0 leaves undocumented.
        throttle: The suspicious-IP throttle, on as at Auth0; None turns it off.
        rate_limit: The token endpoint's rate limit; None for none.
        client_id: The default application's identifier.
        client_secret: Its secret; made up if not given.
        keys: Where signing keys come from; share one between tenants to save making
            RSA keys for each.
        certificates: The certificate to serve with; share one to share a CA file.
        new_id: Return an identifier or token never returned before.

    Attributes:
        applications: The applications, by client_id.
        apis: The APIs, by identifier.
        users: The users, by user_id.
        user_connections: Where users come from, by name; `connections` counts sockets.
        organizations: The organizations, by id.
        profiles: The token exchange profiles, by subject_token_type.
        refresh_tokens: The refresh tokens issued, by token; those already used stay
            until their family ends.
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
        new_id: Callable[[], str] = _new_id,
    ) -> None:
        self.client_id = client_id
        self.client_secret: str = client_secret or secrets.token_urlsafe(48)
        self._tls = tls
        self._certificates = (certificates or Certificates()) if tls else None
        self._cleared_at = 0
        self._state = new_state(
            clock=clock,
            new_id=new_id,
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
        self._front = Front(self.respond, clock, settings.history)
        self._server = Server(
            self._front,
            port=port,
            context=self._certificates.server_context() if self._certificates else None,
            clock=clock,
            idle_seconds=settings.idle_seconds,
        )
        if port:
            self._name()

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
        """Listen and serve, on the same port as before if it ran before.

        Raises:
            RuntimeError: It is running.
            OSError: The port is taken.
        """
        # Makes the signing keys now: the first exchange should not take the longer.
        self._state.keys.jwks(self._state.algorithms)
        self._server.start()
        self._name()
        return self

    def stop(self) -> None:
        """Stop serving and end every connection; what it holds stays. Idempotent."""
        self._server.stop()

    def close(self) -> None:
        """Stop for good: give the signing keys back, so that others may use them."""
        self.stop()
        self._state.keys.release()

    # -- where it is --------------------------------------------------------------

    @property
    def domain(self) -> str:
        """Return what a client's `domain=` takes, such as "localhost:54321"."""
        return self._state.domain if self._tls else self.issuer.removesuffix("/")

    @property
    def issuer(self) -> str:
        """Return the issuer, with its trailing slash.

        Raises:
            RuntimeError: The tenant has no port before it is started.
        """
        if not self._state.issuer:
            raise RuntimeError("the tenant has no issuer before it is started")
        return self._state.issuer

    @property
    def ca_file(self) -> str | None:
        """Return the path of the CA's certificate, for `verify=`; None without TLS."""
        return self._certificates.ca_file if self._certificates else None

    # -- tokens and keys ----------------------------------------------------------

    def subject_token(
        self, sub: str, /, *, expires_in: float = 3600, **claims: Any
    ) -> str:
        """Return a token of the external system the default Action verifies.

        Args:
            sub: The user it stands for, such as "auth0|alice".
            expires_in: Its life in seconds; negative for one that has expired.
            **claims: More claims, or others in place of its own.
        """
        return self._state.legacy.token(sub, expires_in, claims)

    def id_token(
        self,
        sub: str,
        /,
        *,
        audience: str | None = None,
        expires_in: float = 36000,
        **claims: Any,
    ) -> str:
        """Return an ID token of this tenant, fit to be an actor_token.

        Args:
            sub: The user it stands for.
            audience: The client_id; the default application's if not given.
            expires_in: Its life in seconds; negative for one that has expired.
            **claims: More claims, or others in place of its own.
        """
        return crafted_id_token(
            self._state, sub, audience or self.client_id, expires_in, claims
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
        """Return a user's access token for an API, as an application has one at hand.

        Args:
            sub: The user, such as "auth0|alice".
            audience: The API's identifier.
            scope: Its scopes, with a space between them; all of the API's if not given.
            actor: The `act` claim, of those who act for the user.
            expires_in: Its life in seconds; negative for one that has expired.

        Raises:
            ValueError: The tenant has no such user, or no such API.
        """
        user, api = self.users.get(sub), self.apis.get(audience)
        if user is None or api is None:
            raise ValueError("the tenant needs the user and the API of an access token")
        scopes = api.scopes if scope is None else split_scope(scope)
        return crafted_access_token(
            self._state, self.client_id, user, api, tuple(scopes), actor, expires_in
        )

    def redeem_session_transfer_token(self, token: str) -> SessionTransfer:
        """Use *token* up, as the application it leads to would, and tell what it says.

        Raises:
            ValueError: It is none, was used before, or has expired.
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
            user_id: Its `sub`; None for none.
            client_id: Its `aud`; the default application's if not given.
            session_id: Its `sid`; None for none.
            typ: The `typ` in its header; Auth0's samples have "JWT".
            **changes: More claims, or others in place of its own; None leaves one out.
        """
        return crafted_logout_token(
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
        """Post a logout token to the application's `backchannel_logout_uri`.

        Blocks until there is an answer: run it in a thread where the application runs
        in the event loop of this one.

        Args:
            user_id: Who is logged out; see `logout_token`.
            client_id: Which application; the default one if not given.
            session_id: Which session; see `logout_token`.
            verify: The path of a CA trusted beside the system's and the tenant's own;
                False checks no certificate.
            timeout: How many seconds each step may take.
            **changes: As `logout_token` takes them, `typ` too.

        Returns:
            The status of the answer.

        Raises:
            ValueError: The application has no such URI, or one of another machine.
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
            verified=verify is not False,
            timeout=timeout,
        )

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """Return *claims* signed with the tenant's current RS256 key, as they are.

        Args:
            claims: The payload.
            **header: Header members, such as typ="logout+jwt".
        """
        return self._state.keys.sign(claims, "RS256", header)

    def rotate_signing_key(self) -> None:
        """Sign with the next key from now on; the one before keeps verifying."""
        self._state.keys.rotate()

    def revoke_previous_key(self) -> None:
        """Withdraw the keys rotated away: tokens they signed stop verifying."""
        self._state.keys.revoke_previous()

    # -- what it received ---------------------------------------------------------

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """Return the requests received since the last `clear()`, oldest first."""
        return self._front.requests

    @property
    def connections(self) -> int:
        """Return how many connections were accepted since the last `clear()`."""
        return self._server.accepted - self._cleared_at

    @property
    def logs(self) -> tuple[LogEvent, ...]:
        """Return the tenant's log since the last `clear()`, oldest first."""
        return self._state.logs.items

    def count(self, path: str) -> int:
        """Return how many requests of *path* were received since the last `clear()`."""
        return self._front.count(path)

    def clear(self) -> None:
        """Forget what was received and logged, the attempts counted, and the faults.

        Users, tokens, keys and open connections stay.
        """
        self._front.clear()
        self._state.logs.clear()
        self._state.id_token_alteration = self._state.reply_alteration = None
        if self._state.throttle is not None:
            self._state.throttle.clear()
        self._cleared_at = self._server.accepted

    # -- what goes wrong ----------------------------------------------------------

    def inject(
        self, fault: Fault, *, path: str | None = PATH, times: int | None = 1
    ) -> None:
        """Play *fault* for requests to come; several are played in turn.

        Args:
            fault: One of `auth0_tx.tenant.faults`.
            path: Which requests; None for any. A fault of the handshake has no path.
            times: How often; None until `clear()`.
        """
        self._front.inject(fault, path, times)

    def alter_id_token(self, alteration: ClaimsAlteration | None) -> None:
        """Put every ID token's claims through *alteration* before they are signed."""
        self._state.id_token_alteration = alteration

    def alter_reply(self, alteration: ReplyAlteration | None) -> None:
        """Put every reply of the token endpoint through *alteration*.

        As in `tenant.alter_reply(lambda reply: reply.without("id_token"))`.
        """
        self._state.reply_alteration = alteration

    def drop_connections(self) -> None:
        """Close every open connection, as a server does with idle ones."""
        self._server.drop_connections()

    # -- without sockets ----------------------------------------------------------

    def respond(self, request: ReceivedRequest) -> Reply:
        """Return the reply to *request*, decided without a socket or a record."""
        return respond(self._state, request)

    def _name(self) -> None:
        scheme = "https" if self._tls else "http"
        self._state.issuer = f"{scheme}://localhost:{self._server.port}/"
