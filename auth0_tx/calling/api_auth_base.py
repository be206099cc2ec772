"""The parts of ``ApiAuth`` and ``AsyncApiAuth`` that need no HTTP library.

Which URLs may get the token, which token that is and what a 401 means are decided in the core
(``core/wire/api_calls.py``, ``core/flows/api_tokens.py``).  Each of the two classes only fits
it into its library: sets a header, sends again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar

from ..core.configuration import StoreOptions
from ..core.flows.api_tokens import (
    ApiToken,
    ApiTokens,
    ExchangedTokens,
    OptionsSource,
    SessionTokens,
    check_options,
    make_on_behalf_of_source,
)
from ..core.flows.reexchange import SubjectTokenSupplier
from ..core.wire.api_calls import make_authorization, parse_base_url
from ..core.wire.grants import check_access_token_options
from ..errors import ConfigurationError
from ..secret import SecretStr, Unpicklable, conceal
from ..shells.after_fork import register_renewable
from ..values import CustomTokenExchangeOptions

if TYPE_CHECKING:
    # Each imports its HTTP library, and a program needs one of them.
    from ..aio import AsyncServerClient
    from ..client import ServerClient

LONGEST_DRAIN = 65_536
"""Bytes of a 401's body that are read, so that its connection serves for the second try."""

C = TypeVar("C", bound="ServerClient | AsyncServerClient")
S = TypeVar("S", bound=SubjectTokenSupplier)


class ApiAuthBase(Unpicklable, Generic[C, S]):
    """The token for one API, and where it may go."""

    _client_type: type[C]

    def __init__(self, client: C, tokens: ApiTokens, base_url: str) -> None:
        """Prefer the constructors with names: this one takes what they make."""
        self._client = client
        self._tokens = tokens
        self._api = parse_base_url(base_url)
        register_renewable(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._api.text!r})"

    def renew(self) -> None:
        """Start over in a forked child; the library calls it."""
        self._tokens.start_over()

    @classmethod
    def for_exchange(
        cls,
        client: C,
        options: CustomTokenExchangeOptions | S,
        *,
        base_url: str,
        store_options: StoreOptions | None = None,
    ) -> Self:
        """Attach the access token of an exchange, and exchange again when it must be replaced.

        Keep the object: it has the token.  Threads and tasks may share it.

        Args:
            client: the client that exchanges.
            options: whose token, of what type, for which API.  A token that may be good for one
                use is sent once, so give a function that returns fresh options each time, or
                set ``subject_token_reusable`` if your Action accepts the same token again.
            base_url: the https URL of the API, such as ``https://api.example.com/v1``.  The
                token goes to URLs below it, and nowhere else.
            store_options: handed to the domain resolver if the client has one.

        Raises:
            InvalidInputError: an option or *base_url* breaks a rule.
            ConfigurationError: *client* is a client of the other world.
        """
        options = conceal(options)
        cls._check_client(client)
        check_options(options)
        source = OptionsSource(options, store_options)
        return cls(client, ExchangedTokens(source), base_url)

    @classmethod
    def for_session(
        cls,
        client: C,
        store_options: StoreOptions | None,
        *,
        base_url: str,
        audience: str | None = None,
        scope: str | None = None,
        subject_token_supplier: S | None = None,
    ) -> Self:
        """Attach an access token of the logged-in user, as the session has it.

        Make one for each request that your application answers: it is one user's.  The session
        is asked each time, so that nothing is sent for a user who has logged out.

        Args:
            client: the client that keeps the session.
            store_options: ``request`` and ``response``, as for ``get_access_token``.
            base_url: the https URL of the API; the token goes nowhere else.
            audience: the identifier of the API; ``None`` for the one that the login was for.
            scope: space-separated scopes; ``None`` for those that a request without a scope
                gets, at first the login's.
            subject_token_supplier: returns the options of another exchange for the same user,
                for a session without a refresh token.

        Raises:
            InvalidInputError: an argument breaks a rule.
            ConfigurationError: *client* is a client of the other world.
        """
        cls._check_client(client)
        check_access_token_options(audience, scope)
        tokens = SessionTokens(store_options, audience, scope, subject_token_supplier)
        return cls(client, tokens, base_url)

    @classmethod
    def on_behalf_of(
        cls,
        client: C,
        access_token: str,
        audience: str,
        *,
        base_url: str,
        scope: str | None = None,
        store_options: StoreOptions | None = None,
    ) -> Self:
        """Attach a token for another API, on behalf of the user of *access_token*.

        Make one for each request that your API answers: it is one user's.

        Args:
            client: the client that exchanges.
            access_token: the token that your API was called with, verified.
            audience: the identifier of the API to call.
            base_url: the https URL of that API; the token goes nowhere else.
            scope: space-separated scopes; ``None`` for those of the client grant.
            store_options: handed to the domain resolver if the client has one.

        Raises:
            InvalidInputError: an argument breaks a rule.
            ConfigurationError: the client is a public one, or of the other world.
        """
        access_token = conceal(access_token)
        cls._check_client(client)
        source = make_on_behalf_of_source(
            client._context, access_token, audience, scope, store_options
        )
        return cls(client, ExchangedTokens(source), base_url)

    @classmethod
    def _check_client(cls, client: object) -> None:
        """Refuse a client of the other world, whose calls nobody would await.

        Raises:
            ConfigurationError: *client* is of another type.
        """
        if not isinstance(client, cls._client_type):
            raise ConfigurationError(
                f"client of {cls.__name__} must be of the type {cls._client_type.__name__}",
                parameter="client",
            )

    def _find_current(self) -> ApiToken | None:
        return self._tokens.find_current(self._client._context)

    @staticmethod
    def _make_headers(token: ApiToken, method: str, url: str) -> dict[str, SecretStr]:
        return make_authorization(token.access_token, token.token_type, method, url)
