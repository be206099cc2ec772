"""The login of a test: through the application's client, with an exchange or without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs

from ..aio import AsyncServerClient
from ..client import ServerClient
from ..errors import CustomTokenExchangeError
from ..secret import Unpicklable
from ..session_values import LoginWithCustomTokenExchangeOptions, UserClaims
from ..shells.local_sessions import begin_session, begin_session_async
from ..tenant import Tenant, User

SCOPE = "openid profile email offline_access"
"""The scope of a login beside that for its audience."""

LEGACY_TOKEN = "urn:acme:legacy-token"
"""The type of a local tenant's subject tokens, whose profile each tenant has."""


@attrs.frozen(eq=False)
class PlannedLogin(Unpicklable):
    """A login that a test has asked for.

    Attributes:
        claims: what is to be known of the user.
        access_tokens: scopes by audience.
        expires_in: seconds that access tokens last.
        tenant: where the exchange is made; ``None`` for none.
    """

    claims: dict[str, Any]
    access_tokens: dict[str, str]
    expires_in: int
    tenant: Tenant | None

    def make_options(self) -> LoginWithCustomTokenExchangeOptions:
        """Return the options of the exchange; without a tenant nobody looks at them."""
        if self.tenant is None:
            return LoginWithCustomTokenExchangeOptions(
                subject_token=LEGACY_TOKEN, subject_token_type=LEGACY_TOKEN
            )
        sub = self.claims.get("sub")
        if isinstance(sub, str) and sub and sub not in self.tenant.users:
            self.tenant.users.add(User(sub))
        audience, scope = next(iter(self.access_tokens.items()), (None, ""))
        return LoginWithCustomTokenExchangeOptions(
            subject_token=self.tenant.subject_token(str(sub)),
            subject_token_type=LEGACY_TOKEN,
            audience=audience,
            scope=f"{SCOPE} {scope}".strip(),
        )

    def prepare(self, bound: Any) -> None:
        """Have a client that is bound to a request log in as planned."""
        if self.tenant is None:
            kind = (
                _AsyncLocalLogins
                if isinstance(bound.client, AsyncServerClient)
                else _LocalLogins
            )
            bound.client = kind(bound.client, self)

    def list_further_tokens(self) -> list[tuple[str, str]]:
        """Return audience and scope of the tokens that a real login has yet to get."""
        return [] if self.tenant is None else list(self.access_tokens.items())[1:]

    def list_scopes(self) -> Mapping[str | None, str | None]:
        """Return scopes by audience, with one at least."""
        if not self.access_tokens:
            return {None: "openid profile email"}
        return dict[str | None, str | None](self.access_tokens.items())

    def fetch_tokens(self, bound: Any) -> UserClaims:
        """Get what is yet missing after a real login; return the user."""
        for audience, scope in self.list_further_tokens():
            bound.get_access_token(audience, scope)
        user: UserClaims = bound.user
        return user

    async def fetch_tokens_async(self, bound: Any) -> UserClaims:
        """Get what is yet missing after a real login; return the user."""
        for audience, scope in self.list_further_tokens():
            await bound.get_access_token(audience, scope)
        user: UserClaims = await bound.get_user()
        return user


class LoginOutcome:
    """The outcome of a login that was made within a request of a test client.

    Attributes:
        user: the user who was logged in.
    """

    def __init__(self) -> None:
        self.user: UserClaims | None = None
        self._error: Exception | None = None

    @contextmanager
    def catch(self) -> Iterator[None]:
        """Keep an error for the caller: the host would make a page of it."""
        try:
            yield
        except Exception as error:
            self._error = error

    def get_user(self, response: Any) -> UserClaims:
        """Return the user who was logged in.

        Raises:
            Exception: what the login raised.
            CustomTokenExchangeError: something answered in place of the login.
        """
        if self._error is not None:
            raise self._error
        if self.user is None:
            raise CustomTokenExchangeError(
                f"the application answered with status {response.status_code} in place of "
                "the login"
            )
        return self.user


class _Delegate:
    """A client whose login is another, and which is the client in everything else."""

    def __init__(self, client: Any, planned: PlannedLogin) -> None:
        self._client = client
        self._planned = planned

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class _LocalLogins(_Delegate):
    def login_with_custom_token_exchange(self, _: object, store_options: Any) -> Any:
        client, planned = self._client, self._planned
        assert isinstance(client, ServerClient)
        return begin_session(
            client,
            planned.claims,
            planned.list_scopes(),
            planned.expires_in,
            store_options,
        )


class _AsyncLocalLogins(_Delegate):
    async def login_with_custom_token_exchange(
        self, _: object, store_options: Any
    ) -> Any:
        client, planned = self._client, self._planned
        assert isinstance(client, AsyncServerClient)
        return await begin_session_async(
            client,
            planned.claims,
            planned.list_scopes(),
            planned.expires_in,
            store_options,
        )
