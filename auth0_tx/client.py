# Generated from core/flows and core/configuration.py: edit those, never this file.
# Written by: python tools/generate_shells.py
"""The blocking client, over requests: for threads, also after a fork."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .core.configuration import StoreOptions, configure
from .core.flows import exchange
from .errors import Auth0Error
from .frameworks import find_cookies
from .secret import conceal
from .shells.drivers import cut_traceback, run
from .shells.requests_shell import BlockingShell
from .values import (
    CachePolicy,
    CustomTokenExchangeOptions,
    RetryPolicy,
    SessionPolicy,
    TokenExchangeResponse,
)

if TYPE_CHECKING:
    import requests

    from .core.bulk.shared_pace import SharedPace
    from .core.cache.token_cache import MemoryTokenCache, TokenCache
    from .core.configuration import AuditIdentifiers, Discovery, Verify
    from .core.session.cookies import CookieStore
    from .core.session.store import StateStore
    from .core.wire.client_auth import ClientAuthMethod
    from .events import Event
    from .results import TenantCheck
    from .session_values import (
        AccessTokenSet,
        LoginWithCustomTokenExchangeOptions,
        LoginWithCustomTokenExchangeResult,
        SessionData,
        SessionTransferToken,
        UserClaims,
    )
    from .shells.bulk_threads import BulkExchange


class ServerClient(BlockingShell):
    """The blocking client, over requests: for threads, also after a fork.

    Args:
        domain: the tenant's domain, such as ``tenant.us.auth0.com``, or a function that
            gives it for the store options of a call.
        client_id: the application's id.
        client_secret: the application's secret.
        client_assertion_signing_key: the private key, as PEM text or a JWK, of an
            application that authenticates with ``private_key_jwt``; a ``kid`` is kept.
        client_assertion_signing_alg: RS256, RS384, PS256, PS384, ES256 or ES384.
        client_auth: how the client authenticates (RFC 6749 section 2.3, RFC 7523):
            ``client_secret_post`` unless a key is given, ``client_secret_basic``,
            ``private_key_jwt``, or ``none`` for a public application.
        secret: the secret of the login session, or several, newest first.  The newest has
            32 characters or more; those after it still open what they sealed.
        state_store: where login sessions are kept, a store of ``auth0_tx.stores`` or your
            own; the browser's cookies where *secret* is given alone.
        session_policy: how long sessions last, and what their cookies are like.
        legacy_secret: the secret of Auth0's own SDK, whose session cookies then open, and
            are replaced by those of this library.
        token_cache: where exchanged tokens are cached, a cache of ``auth0_tx.caches`` or
            your own; every call is an exchange of its own without one.
        cache_policy: for how long they are, and what becomes of a cache that fails.
        verify: ``True`` for the public CAs, the path of a CA bundle, or an
            ``ssl.SSLContext`` that verifies, from TLS 1.2 on; verification cannot be turned
            off.  With *session*, leave it out.
        proxy: the URL of the proxy to go through.
        trust_env: whether the environment may name a proxy, a CA bundle and a file for the
            keys of connections (``HTTPS_PROXY``, ``NO_PROXY``, ``REQUESTS_CA_BUNDLE``,
            ``SSLKEYLOGFILE``); ``~/.netrc`` never counts.
        discovery: ``first`` to fetch the tenant's metadata before the first grant is sent;
            ``deferred`` to send it to the endpoints that Auth0 tenants have by convention,
            which saves the first call a round trip.  The metadata is then fetched and
            verified at the same time, and before an ID token is believed.
        timeout: seconds for one call, with all it takes: waiting, retries, keys.
        retry: when a failed request is sent again.
        max_connections: the most requests on the wire at once.
        clock: gives epoch seconds; the system's clock by default.
        on_event: told of what happens, by the values of ``auth0_tx.events``.
        audit_identifiers: how those events name users and sessions: ``hashed``, as keyed
            hashes that are the same in all processes of an application, or ``clear``.
        session: the application's own ``requests.Session``, with its adapters or connector.
            It says whom to trust, and must verify; it is never closed here.

    Raises:
        ConfigurationError: a keyword breaks a rule, or does not go with another.
    """

    def __init__(
        self,
        *,
        domain: str | Callable[[StoreOptions | None], str],
        client_id: str,
        client_secret: str | None = None,
        client_assertion_signing_key: str | bytes | Mapping[str, Any] | None = None,
        client_assertion_signing_alg: str = "RS256",
        client_auth: ClientAuthMethod | None = None,
        secret: str | Sequence[str] | None = None,
        state_store: StateStore | CookieStore | None = None,
        session_policy: SessionPolicy = SessionPolicy(),
        legacy_secret: str | None = None,
        token_cache: TokenCache | MemoryTokenCache | None = None,
        cache_policy: CachePolicy = CachePolicy(),
        verify: Verify = True,
        proxy: str | None = None,
        trust_env: bool = False,
        discovery: Discovery = "first",
        timeout: float = 10.0,
        retry: RetryPolicy = RetryPolicy(),
        max_connections: int = 100,
        clock: Callable[[], float] | None = None,
        on_event: Callable[[Event], object] | None = None,
        audit_identifiers: AuditIdentifiers = "hashed",
        session: requests.Session | None = None,
    ) -> None:
        # Rebound, so that a traceback with locals shows no secret of this frame.
        client_secret = conceal(client_secret)
        client_assertion_signing_key = conceal(client_assertion_signing_key)
        secret = conceal(secret)
        legacy_secret = conceal(legacy_secret)
        proxy = conceal(proxy)
        settings = configure(
            domain=domain,
            client_id=client_id,
            client_secret=client_secret,
            client_assertion_signing_key=client_assertion_signing_key,
            client_assertion_signing_alg=client_assertion_signing_alg,
            client_auth=client_auth,
            secret=secret,
            state_store=state_store,
            session_policy=session_policy,
            legacy_secret=legacy_secret,
            token_cache=token_cache,
            cache_policy=cache_policy,
            verify=verify,
            proxy=proxy,
            trust_env=trust_env,
            discovery=discovery,
            timeout=timeout,
            retry=retry,
            max_connections=max_connections,
            clock=clock,
            on_event=on_event,
            audit_identifiers=audit_identifiers,
        )
        super().__init__(settings, session, find_cookies(settings))

    def custom_token_exchange(
        self,
        options: CustomTokenExchangeOptions,
        store_options: StoreOptions | None = None,
    ) -> TokenExchangeResponse:
        """Exchange an external or legacy token for Auth0 tokens.

        This is Auth0's Custom Token Exchange, a profile of RFC 8693.  No session is made.
        Once the server has issued tokens they are returned, also when their actor cannot be
        verified: ``act`` is then ``None`` and ``act_error`` says why.

        Args:
            options: whose token, of what type, for which API.
            store_options: handed to the domain resolver if the client has one.

        Returns:
            The tokens, with the acting party if there is one.

        Raises:
            InvalidInputError: an option breaks a rule; nothing was sent.
            RefusedError: Auth0, or your Action, said no.
            NotSentError: the request did not leave, so the same call may be made again.
            AmbiguousError: the answer was lost, and the subject token may be spent.
            CustomTokenExchangeError: the root of these and every other failure.
        """
        options = conceal(options)
        try:
            return run(
                exchange.custom_token_exchange(self._context, options, store_options),
                self._world,
            )
        except Auth0Error as error:
            raise cut_traceback(error)

    def get_token_on_behalf_of(
        self,
        access_token: str,
        audience: str,
        scope: str | None = None,
        store_options: StoreOptions | None = None,
    ) -> TokenExchangeResponse:
        """Exchange a user's access token for one of another API, on the user's behalf.

        For an API that was called with *access_token* and calls another API itself (Auth0:
        On-Behalf-Of Token Exchange, a profile of RFC 8693).  Verify the token before: Auth0
        checks it too, but its answer does not tell that the caller may be served.  The ``act`` claim of the
        new token names who acts, and who did before.

        Args:
            access_token: the incoming token, without its scheme; its audience must be the API
                that this client's application stands for.
            audience: the identifier of the API to call.
            scope: space-separated scopes; ``None`` for those of the client grant.
            store_options: handed to the domain resolver if the client has one.

        Returns:
            The access token; no ID token and no refresh token come with it.

        Raises:
            InvalidInputError: an argument breaks a rule; nothing was sent.
            ConfigurationError: the client is a public one, which may not act for others.
            RefusedError: Auth0 said no: the token, the scopes, or who would act.
            CustomTokenExchangeError: the root of these and every other failure.
        """
        access_token = conceal(access_token)
        try:
            return run(
                exchange.get_token_on_behalf_of(
                    self._context, access_token, audience, scope, store_options
                ),
                self._world,
            )
        except Auth0Error as error:
            raise cut_traceback(error)

    def login_with_custom_token_exchange(
        self,
        options: LoginWithCustomTokenExchangeOptions,
        store_options: StoreOptions | None = None,
    ) -> LoginWithCustomTokenExchangeResult:
        """Exchange a token for Auth0 tokens, and log its user in.

        The user is whom the verified ID token names; ``openid`` is added to the scope if it is
        missing.  The browser gets a new session, and an earlier session of it ends.

        Args:
            options: whose token, of what type, for which API.
            store_options: ``request`` and ``response``, as your framework has them: cookies
                are read from the one and set on the other.

        Returns:
            The session that was made.

        Raises:
            ConfigurationError: the client keeps no sessions; nothing was sent.
            InvalidInputError: an option breaks a rule, or there is no response; nothing was sent.
            IdTokenError: the ID token is missing or invalid; no session was made.
            StoreError: the session could not be kept; its ``response`` has the tokens.
            CustomTokenExchangeError: the root of these and every other failure.
        """
        options = conceal(options)
        from .core.flows import login

        try:
            return run(
                login.login_with_custom_token_exchange(
                    self._context, options, store_options
                ),
                self._world,
            )
        except Auth0Error as error:
            raise cut_traceback(error)

    def get_user(
        self,
        store_options: StoreOptions | None = None,
    ) -> UserClaims | None:
        """Return the logged-in user: the claims of the ID token, ``act`` among them.

        Args:
            store_options: ``request``, and ``response`` if there is one yet: a session that is
                used lasts longer, and its cookie must say so.

        Returns:
            The user's claims, or ``None`` if there is no valid session.

        Raises:
            ConfigurationError: the client keeps no sessions.
            StoreError: the store cannot be read.
        """
        from .core.flows import session

        try:
            return run(session.get_user(self._context, store_options), self._world)
        except Auth0Error as error:
            raise cut_traceback(error)

    def get_session(
        self,
        store_options: StoreOptions | None = None,
    ) -> SessionData | None:
        """Return the session: ``user``, ``id_token``, ``refresh_token``, ``token_sets``, ``domain``.

        Args:
            store_options: ``request``, and ``response`` if there is one yet.

        Returns:
            The session, its tokens as text that does not print, or ``None`` if there is none.

        Raises:
            ConfigurationError: the client keeps no sessions.
            StoreError: the store cannot be read.
        """
        from .core.flows import session

        try:
            return run(session.get_session(self._context, store_options), self._world)
        except Auth0Error as error:
            raise cut_traceback(error)

    def get_access_token(
        self,
        store_options: StoreOptions | None = None,
        audience: str | None = None,
        scope: str | None = None,
        *,
        subject_token_supplier: Callable[[], CustomTokenExchangeOptions] | None = None,
    ) -> str:
        """Return an access token of the logged-in user that is valid for a while yet.

        A token that is about to expire is renewed: with the session's refresh token or, without
        one, by another exchange.  However many callers ask at once, one asks Auth0.

        Args:
            store_options: ``request`` and ``response``; without a response a session in cookies
                cannot keep what is renewed.
            audience: the API; ``None`` for the one that the login was for.
            scope: space-separated scopes that the token must have been granted or asked for with;
                ``None`` for those that a request without a scope gets, at first the login's.
            subject_token_supplier: returns the options of another exchange for the same user,
                for a session without a refresh token: Auth0 issues none where an actor acts.
                Its audience and scope count if none are given here.

        Returns:
            The access token.

        Raises:
            LoginRequiredError: there is no session, or nothing to renew its tokens with.
            InvalidInputError: an argument breaks a rule, or a token must be renewed and there is
                no response to keep it with.
            ConfigurationError: the client keeps no sessions.
            StoreError: the store failed.
            WrongAudienceError: Auth0 answered with a token for another API, which is kept as such;
                the application's refresh token policies do not name *audience*.
            CustomTokenExchangeError: the token could not be renewed this time.
        """
        from .core.flows import access_tokens

        try:
            return run(
                access_tokens.get_access_token(
                    self._context,
                    store_options,
                    audience,
                    scope,
                    subject_token_supplier=subject_token_supplier,
                ),
                self._world,
            )
        except Auth0Error as error:
            raise cut_traceback(error)

    def get_token_set(
        self,
        store_options: StoreOptions | None = None,
        audience: str | None = None,
        scope: str | None = None,
        *,
        subject_token_supplier: Callable[[], CustomTokenExchangeOptions] | None = None,
    ) -> AccessTokenSet:
        """Return an access token of the logged-in user, with its expiry, scope and audience.

        The token is the one that ``get_access_token`` returns, renewed in the same way.

        Args:
            store_options: ``request`` and ``response``; without a response a session in cookies
                cannot keep what is renewed.
            audience: the API; ``None`` for the one that the login was for.
            scope: space-separated scopes that the token must have been granted or asked for with;
                ``None`` for those that a request without a scope gets, at first the login's.
            subject_token_supplier: returns the options of another exchange for the same user,
                for a session without a refresh token.

        Returns:
            The access token, and what is known of it.

        Raises:
            LoginRequiredError: there is no session, or nothing to renew its tokens with.
            InvalidInputError: an argument breaks a rule, or a token must be renewed and there is
                no response to keep it with.
            ConfigurationError: the client keeps no sessions.
            StoreError: the store failed.
            WrongAudienceError: Auth0 answered with a token for another API, which is kept as such;
                the application's refresh token policies do not name *audience*.
            CustomTokenExchangeError: the token could not be renewed this time.
        """
        from .core.flows import access_tokens

        try:
            return run(
                access_tokens.get_token_set(
                    self._context,
                    store_options,
                    audience,
                    scope,
                    subject_token_supplier=subject_token_supplier,
                ),
                self._world,
            )
        except Auth0Error as error:
            raise cut_traceback(error)

    def refresh(
        self,
        refresh_token: str,
        audience: str | None = None,
        scope: str | None = None,
        store_options: StoreOptions | None = None,
    ) -> TokenExchangeResponse:
        """Request new tokens with a refresh token that the application keeps by itself.

        For a refresh token of ``custom_token_exchange``.  The tokens of a login session are
        ``get_access_token``'s: a refresh token that is used here is spent for the session.

        If the response has a ``refresh_token``, keep it in place of the one that was sent, which is
        spent (rotation).  If it has none, the one that was sent stays good.  Callers that use the
        same refresh token at once, or within ten minutes of a rotation in this process, share its
        outcome.  The ID token of the response is not verified.

        Args:
            refresh_token: the refresh token.
            audience: the API; ``None`` for the one that the refresh token was issued for.
            scope: space-separated scopes, of those that were granted; ``None`` for all of them.
            store_options: handed to the domain resolver if the client has one.

        Returns:
            The tokens.

        Raises:
            InvalidInputError: an argument breaks a rule; nothing was sent.
            LoginRequiredError: Auth0 refuses the refresh token (``invalid_grant``).
            WrongAudienceError: the access token is for another API than *audience*; ``response``
                has the tokens, the new refresh token among them.
            AmbiguousError: the answer was lost; the same call may be made again.
            InvalidResponseError: the answer is broken; ``refresh_token`` has the new refresh token,
                if it can be read.
            CustomTokenExchangeError: every other failure.
        """
        refresh_token = conceal(refresh_token)
        from .core.flows import given_tokens

        try:
            return run(
                given_tokens.refresh(
                    self._context, refresh_token, audience, scope, store_options
                ),
                self._world,
            )
        except Auth0Error as error:
            raise cut_traceback(error)

    def revoke_refresh_token(
        self,
        refresh_token: str,
        store_options: StoreOptions | None = None,
    ) -> None:
        """Revoke a refresh token that the application keeps by itself (RFC 7009).

        Auth0 also ends the tokens that the refresh token was rotated to.  Access tokens last until
        they expire.  Revoking a token that is unknown or revoked already succeeds (section 2.2).

        Args:
            refresh_token: the refresh token.
            store_options: handed to the domain resolver if the client has one.

        Raises:
            InvalidInputError: *refresh_token* is not a token; nothing was sent.
            DiscoveryError: the tenant's metadata names no revocation endpoint.
            RefusedError: Auth0 refuses the client.
            AmbiguousError: the answer was lost; the same call may be made again.
            CustomTokenExchangeError: every other failure.
        """
        refresh_token = conceal(refresh_token)
        from .core.flows import given_tokens

        try:
            return run(
                given_tokens.revoke_refresh_token(
                    self._context, refresh_token, store_options
                ),
                self._world,
            )
        except Auth0Error as error:
            raise cut_traceback(error)

    def logout(
        self,
        store_options: StoreOptions | None = None,
        *,
        return_to: str | None = None,
        revoke: bool = True,
    ) -> str:
        """End the session, and return the URL that ends Auth0's own.

        Args:
            store_options: ``request`` and ``response``.
            return_to: where Auth0 sends the browser afterwards; one of the application's
                Allowed Logout URLs.
            revoke: whether the session's refresh token is revoked (RFC 7009); if that fails the
                user is logged out all the same.

        Returns:
            The URL to redirect the browser to.

        Raises:
            ConfigurationError: the client keeps no sessions.
            InvalidInputError: *return_to* is not a URL, or there is no response.
            StoreError: the session could not be deleted from its store; its cookie was.  Not
                raised if the policy says that a store which fails means no session.
        """
        from .core.flows import logout

        try:
            return run(
                logout.logout(
                    self._context, store_options, return_to=return_to, revoke=revoke
                ),
                self._world,
            )
        except Auth0Error as error:
            raise cut_traceback(error)

    def handle_backchannel_logout(
        self,
        logout_token: str,
        store_options: StoreOptions | None = None,
    ) -> None:
        """End every session that a logout token names, by its user or its ``sid``.

        Answer the request with 200 when this returns, and with 400 when it raises
        ``BackchannelLogoutError`` (OpenID Connect Back-Channel Logout 1.0 section 2.8).

        Args:
            logout_token: the form's ``logout_token``.
            store_options: handed to the domain resolver if the client has one.

        Raises:
            BackchannelLogoutError: the token is invalid, or has been used before.
            ConfigurationError: sessions are kept in cookies, which nobody else can end.
            StoreError: the sessions could not be deleted; Auth0 may send the token again.
            CustomTokenExchangeError: the tenant's keys cannot be fetched to verify the token.
        """
        logout_token = conceal(logout_token)
        from .core.flows import logout

        try:
            return run(
                logout.handle_backchannel_logout(
                    self._context, logout_token, store_options
                ),
                self._world,
            )
        except Auth0Error as error:
            raise cut_traceback(error)

    def end_sessions(
        self,
        *,
        sub: str,
        store_options: StoreOptions | None = None,
    ) -> int:
        """End all sessions of a user: log out everywhere.

        Sessions end here, in the store that this client uses; Auth0's own session and the tokens
        that were issued stay.  A call that failed may be repeated.

        Args:
            sub: the user's ``sub``, such as ``auth0|alice``.
            store_options: handed to the domain resolver if the client has one.

        Returns:
            How many sessions were listed; some may have ended before.

        Raises:
            ConfigurationError: sessions are kept in cookies, which nobody else can end.
            InvalidInputError: *sub* is not a non-empty string.
            StoreError: not all of them could be ended.
        """
        from .core.flows import logout

        try:
            return run(
                logout.end_sessions(
                    self._context, sub=sub, store_options=store_options
                ),
                self._world,
            )
        except Auth0Error as error:
            raise cut_traceback(error)

    def request_session_transfer_token(
        self,
        subject_token: str,
        subject_token_type: str,
        *,
        actor_token: str | None = None,
        actor_token_type: str | None = None,
        scope: str | None = None,
        organization: str | None = None,
        store_options: StoreOptions | None = None,
    ) -> SessionTransferToken:
        """Request a token that logs an actor in to another application, as the user, once.

        Pass it to ``build_session_transfer_redirect``; neither decode nor keep it.

        Args:
            subject_token: proof of who the user is, as your Action understands it.
            subject_token_type: the URI that your Token Exchange Profile is mapped to.
            actor_token: the acting party's token; ``None`` for the ID token of the logged-in
                session.
            actor_token_type: the type of *actor_token*; ``None`` for an ID token.
            scope: space-separated scopes.
            organization: the organization to log in to.
            store_options: ``request`` and ``response`` of the actor's session.

        Raises:
            InvalidInputError: an argument breaks a rule, or the client has no way to prove
                itself, which this needs; nothing was sent.
            CustomTokenExchangeError: with the code ``actor_unavailable`` where nobody is logged
                in, ``setactor_required`` or ``session_transfer_disabled`` where Auth0 says so.
        """
        subject_token = conceal(subject_token)
        actor_token = conceal(actor_token)
        from .core.flows import session_transfer

        try:
            return run(
                session_transfer.request_session_transfer_token(
                    self._context,
                    subject_token,
                    subject_token_type,
                    actor_token=actor_token,
                    actor_token_type=actor_token_type,
                    scope=scope,
                    organization=organization,
                    store_options=store_options,
                ),
                self._world,
            )
        except Auth0Error as error:
            raise cut_traceback(error)

    def prepare(
        self,
        store_options: StoreOptions | None = None,
    ) -> None:
        """Fetch the tenant's metadata and signing keys, and leave a connection to the tenant open.

        So the next call has to wait for neither, for as long as the connection rests: two
        minutes.  Calling this is optional: whatever is missing is fetched when it is needed, once
        for all who wait.  A process may call it while it starts, before it serves; a child that
        was forked calls it itself, as connections are not inherited.  Documents that are known are
        not fetched again, but for one request, to connect.

        Args:
            store_options: handed to the domain resolver if the client has one.

        Raises:
            CustomTokenExchangeError: the tenant cannot be reached, or its documents are invalid.
        """
        from .core.flows import tenant_documents

        try:
            return run(
                tenant_documents.prepare(self._context, store_options), self._world
            )
        except Auth0Error as error:
            raise cut_traceback(error)

    def check_tenant(
        self,
        store_options: StoreOptions | None = None,
    ) -> TenantCheck:
        """Fetch the tenant's metadata and signing keys anew, and report on them.

        Other calls use cached documents, and go on with stale ones while the tenant is down.
        This one does neither, so it answers whether a client that starts now could work.  Use it
        in a health check; it sends two requests and no credentials.

        Args:
            store_options: handed to the domain resolver if the client has one.

        Returns:
            The issuer, the number of usable keys, and how far the two clocks are apart.

        Raises:
            NotSentError: the tenant cannot be reached.
            DiscoveryError: its metadata is missing or invalid.
        """
        from .core.flows import tenant_documents

        try:
            return run(
                tenant_documents.check_tenant(self._context, store_options), self._world
            )
        except Auth0Error as error:
            raise cut_traceback(error)

    def exchange_many(
        self,
        options: Iterable[CustomTokenExchangeOptions],
        *,
        concurrency: int = 50,
        rate: float | None = None,
        pace: SharedPace | None = None,
        store_options: StoreOptions | None = None,
    ) -> BulkExchange:
        """Exchange many tokens, and return an iterator over the results as they come.

        Each row is a ``custom_token_exchange``, with its own deadline.  Its result has its index and
        either a response or an error.  Rows are sent as fast as Auth0's rate limit allows: a row that
        is refused with 429 is not a failure, but sent again after the pause that Auth0 asks for.

        The input is read lazily.  A row is read only when it can be sent, and its place is given to
        another one when you come back for the next result.

        Args:
            options: the options of each exchange.
            concurrency: the most exchanges in flight at once; at most the client's
                *max_connections*.
            rate: the most exchanges to start in a second; ``None`` for as many as Auth0 allows.
            pace: a pace that processes share, a ``RedisPace`` of ``auth0_tx.stores``: together they
                start no more exchanges than its rate.
            store_options: handed to the domain resolver if the client has one.

        Returns:
            An iterator over the results, which is a context manager too.  Nothing is read or sent
            before it is asked for the first of them.

        Raises:
            InvalidInputError: an argument breaks a rule; nothing was read.
        """
        options = conceal(options)
        from .core.bulk import plan
        from .shells.bulk_threads import BulkExchange

        try:
            return BulkExchange(
                plan.exchange_many(
                    self._context,
                    options,
                    concurrency=concurrency,
                    rate=rate,
                    pace=pace,
                    store_options=store_options,
                ),
                self._world,
            )
        except Auth0Error as error:
            raise cut_traceback(error)
