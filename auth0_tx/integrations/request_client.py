# Generated from core/flows: edit those, never this file.
# Written by: python tools/generate_shells.py
"""ServerClient, bound to one request of a web framework."""

from __future__ import annotations

from collections.abc import Callable

from ..client import ServerClient
from ..session_values import (
    AccessTokenSet,
    LoginWithCustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeResult,
    SessionData,
    UserClaims,
)
from ..values import CustomTokenExchangeOptions, TokenExchangeResponse
from .request_base import RequestBase


class RequestAuth0(RequestBase[ServerClient]):
    """The application's ``ServerClient``, bound to one request.

    Nothing is read until a method asks for it.
    """

    @property
    def user(self) -> UserClaims | None:
        """Return the claims of the logged-in user, or ``None``.

        Returns:
            The user's claims, or ``None`` if there is no valid session.

        Raises:
            ConfigurationError: the client keeps no sessions.
            StoreError: the store cannot be read.
        """
        return self.client.get_user(
            self.store_options,
        )

    @property
    def session(self) -> SessionData | None:
        """Return the login session, or ``None``.

        Returns:
            The session, its tokens as text that does not print, or ``None`` if there is none.

        Raises:
            ConfigurationError: the client keeps no sessions.
            StoreError: the store cannot be read.
        """
        return self.client.get_session(
            self.store_options,
        )

    def get_access_token(
        self,
        audience: str | None = None,
        scope: str | None = None,
        *,
        subject_token_supplier: Callable[[], CustomTokenExchangeOptions] | None = None,
    ) -> str:
        """Return an access token of the logged-in user, renewed if it is about to expire.

        Args:
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
        return self.client.get_access_token(
            self.store_options,
            audience,
            scope,
            subject_token_supplier=subject_token_supplier,
        )

    def get_token_set(
        self,
        audience: str | None = None,
        scope: str | None = None,
        *,
        subject_token_supplier: Callable[[], CustomTokenExchangeOptions] | None = None,
    ) -> AccessTokenSet:
        """Return an access token of the logged-in user with its expiry, scope and audience.

        Args:
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
        return self.client.get_token_set(
            self.store_options,
            audience,
            scope,
            subject_token_supplier=subject_token_supplier,
        )

    def get_token_on_behalf_of(
        self,
        audience: str,
        scope: str | None = None,
    ) -> TokenExchangeResponse:
        """Exchange the request's bearer token for an access token for another API.

        A request without a bearer token is an ``InvalidInputError``.

        Args:
            audience: the identifier of the API to call.
            scope: space-separated scopes; ``None`` for those of the client grant.

        Returns:
            The access token; no ID token and no refresh token come with it.

        Raises:
            InvalidInputError: an argument breaks a rule; nothing was sent.
            ConfigurationError: the client is a public one, which may not act for others.
            RefusedError: Auth0 said no: the token, the scopes, or who would act.
            CustomTokenExchangeError: the root of these and every other failure.
        """
        return self.client.get_token_on_behalf_of(
            self._get_bearer_token(),
            audience,
            scope,
            self.store_options,
        )

    def login(
        self,
        options: LoginWithCustomTokenExchangeOptions,
    ) -> LoginWithCustomTokenExchangeResult:
        """Exchange a token, and log its user in.

        Args:
            options: whose token, of what type, for which API.

        Returns:
            The session that was made.

        Raises:
            ConfigurationError: the client keeps no sessions; nothing was sent.
            InvalidInputError: an option breaks a rule, or there is no response; nothing was sent.
            IdTokenError: the ID token is missing or invalid; no session was made.
            StoreError: the session could not be kept; its ``response`` has the tokens.
            CustomTokenExchangeError: the root of these and every other failure.
        """
        return self.client.login_with_custom_token_exchange(
            options,
            self.store_options,
        )

    def logout(
        self,
        *,
        return_to: str | None = None,
        revoke: bool = True,
    ) -> str:
        """Log the user out; return the URL that ends Auth0's session.

        Args:
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
        return self.client.logout(
            self.store_options,
            return_to=return_to,
            revoke=revoke,
        )
