"""The dependencies: a user, an access token, a bound client, an exchanged token.

Each takes an ``HTTPConnection``, so it serves endpoints and WebSockets; runs on the event loop,
so an endpoint that is a ``def`` gets a value which needs no ``await``; and equals any other with
the same arguments, so ``app.dependency_overrides[RequiredUser()]`` replaces it in a test.
"""

# Not ``from __future__ import annotations``: FastAPI 0.115 does not resolve annotations of a
# dependency that is an object, and takes its ``connection`` for a parameter of the query.
import inspect
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias

from fastapi import Depends, Security
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.openapi.models import SecurityBase as SecurityBaseModel
from fastapi.requests import HTTPConnection
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase

from ...core.session.cookies import cookie_name
from ...session_values import UserClaims
from ...values import CustomTokenExchangeOptions, SessionPolicy, TokenExchangeResponse
from ..async_request_client import AsyncRequestAuth0
from ..request_base import get_bearer_token
from ..settings import get_default_cookie_name
from ..starlette import auth0_of, require_user
from ..starlette.guards import open_session
from ..starlette.refusals import finish_or_refuse
from .document import name_scheme


class _Dependency(ABC):
    """A dependency that equals any other with the same arguments."""

    # Set by each class before anything else of it is used.
    _arguments: tuple[object, ...]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._arguments == self._arguments

    def __hash__(self) -> int:
        return hash((type(self), self._arguments))

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._arguments}"


if TYPE_CHECKING:
    ClientName: TypeAlias = str
else:

    class ClientName:
        """The name of a client, a string, which FastAPI must not read from the query.

        It does so for ``Depends(OptionalUser)``, where parentheses were forgotten, and then
        anybody would be a user: the endpoint would get the dependency itself.  FastAPI refuses
        a parameter whose class pydantic does not know when the endpoint is declared.
        """


if TYPE_CHECKING:
    CheckedUser: TypeAlias = UserClaims
else:

    class CheckedUser:
        """A user whom another dependency has checked, and whom FastAPI must not read.

        ``UserClaims`` is a dictionary for it, which it would read from the request's body: any
        visitor could say who they are.  The signatures of dependencies do not have this
        parameter, and should FastAPI look past them, it refuses it.
        """


class BoundClient(_Dependency):
    """Return a client, bound to the request or the WebSocket.

    Args:
        client: the name of one of the lifespan's *clients*; ``None`` for the default client.
    """

    def __init__(self, client: ClientName | None = None) -> None:
        self._arguments = (client,)
        self._client = client

    async def __call__(self, connection: HTTPConnection) -> AsyncRequestAuth0:
        """Return the bound client."""
        return auth0_of(connection, self._client)


Auth0 = Annotated[AsyncRequestAuth0, Depends(auth0_of)]
"""The default client, bound to the request or the WebSocket."""


class OptionalUser(_Dependency):
    """Return the claims of the logged-in user, or ``None``.

    Args:
        client: the name of one of the lifespan's *clients*; ``None`` for the default client.
    """

    def __init__(self, client: ClientName | None = None) -> None:
        self._arguments = (client,)
        self._client = client

    async def __call__(self, connection: HTTPConnection) -> UserClaims | None:
        """Return the claims of the connection's user."""
        auth0 = open_session(connection, self._client)
        return await finish_or_refuse(connection, auth0.get_user())


CurrentUser = Annotated[UserClaims | None, Depends(OptionalUser())]
"""The claims of the logged-in user, or ``None``."""


class _SessionDependency(_Dependency, SecurityBase):
    """A dependency on the login session, whose cookie the document shows."""

    # FastAPI reads both from any dependency that is a SecurityBase, for its document.
    model: SecurityBaseModel
    scheme_name: str

    def __init__(self, policy: SessionPolicy | None, client: ClientName | None) -> None:
        if policy is None and client is not None:
            policy = SessionPolicy(cookie_name=get_default_cookie_name(client))
        policy = policy or SessionPolicy()
        self._client = client
        self.model = APIKey(
            # ``in`` is a keyword of Python, and pydantic has no other name for the field.
            **{"in": APIKeyIn.cookie},  # type: ignore[arg-type]
            name=cookie_name(
                policy.cookie_name,
                secure=policy.cookie_secure,
                domain=policy.cookie_domain,
                path=policy.cookie_path,
            ),
            description="The login session's cookie.",
        )
        self.scheme_name = name_scheme(client)


class RequiredUser(_SessionDependency):
    """Return the claims of the logged-in user; answer 401 if nobody is logged in.

    ``Security(RequiredUser(), scopes=["read:orders"])`` answers 403 as well, if the user's
    access token was not granted the scopes; *scopes* here does the same.  Both are in the
    OpenAPI document.

    Args:
        policy: the client's ``session_policy``, for a document that is made without running
            the application: it then shows the cookie's name from it.
        scopes: the scopes that the user's access token must have been granted, space-separated
            or a collection.
        audience: the API of that token; ``None`` for the login's.
        client: the name of one of the lifespan's *clients*; ``None`` for the default client.
    """

    def __init__(
        self,
        policy: SessionPolicy | None = None,
        *,
        scopes: str | Collection[str] = (),
        audience: str | None = None,
        client: ClientName | None = None,
    ) -> None:
        super().__init__(policy, client)
        self._scopes = tuple(scopes.split() if isinstance(scopes, str) else scopes)
        self._audience = audience
        self._arguments = (policy, self._scopes, audience, client)
        checked: Any = None
        if self._scopes:
            # FastAPI shows only the scopes of a ``Security``.
            checked = Security(
                RequiredUser(policy, audience=audience, client=client),
                scopes=self._scopes,
            )
        self.__signature__: inspect.Signature = _depend_on(checked)

    async def __call__(
        self,
        connection: HTTPConnection,
        security_scopes: SecurityScopes,
        user: CheckedUser | None = None,
    ) -> UserClaims:
        """Return the claims of the connection's user."""
        if user is not None:
            return user
        return await require_user(
            connection,
            scopes=(*self._scopes, *security_scopes.scopes),
            audience=self._audience,
            client=self._client,
        )


class AccessToken(_SessionDependency):
    """Return an access token of the logged-in user, renewed if it is about to expire.

    Args:
        audience: the API to call; ``None`` for the one that the login was for.
        scope: space-separated scopes; ``None`` for those of the login.
        policy: as for :class:`RequiredUser`.
        client: the name of one of the lifespan's *clients*; ``None`` for the default client.
    """

    def __init__(
        self,
        audience: str | None = None,
        scope: str | None = None,
        *,
        policy: SessionPolicy | None = None,
        client: ClientName | None = None,
    ) -> None:
        super().__init__(policy, client)
        self._audience, self._scope = audience, scope
        self._arguments = (audience, scope, policy, client)

    async def __call__(self, connection: HTTPConnection) -> str:
        """Return the token."""
        auth0 = open_session(connection, self._client)
        return await finish_or_refuse(
            connection, auth0.get_access_token(self._audience, self._scope)
        )


class _BearerExchange(_Dependency, SecurityBase):
    """An exchange of the request's bearer token.

    FastAPI shows the name of the class as the security scheme's.
    """

    model: SecurityBaseModel
    scheme_name: str
    description: ClassVar[str]

    def __init__(self, client: ClientName | None) -> None:
        self.model = HTTPBearerModel(description=self.description)
        self.scheme_name = type(self).__name__
        self._client = client

    async def __call__(self, connection: HTTPConnection) -> TokenExchangeResponse:
        """Return the tokens that the request's bearer token was exchanged for."""
        return await finish_or_refuse(connection, self._exchange(connection))

    @abstractmethod
    async def _exchange(self, connection: HTTPConnection) -> TokenExchangeResponse: ...


class OnBehalfOf(_BearerExchange):
    """Exchange the access token of the request for one for another API.

    A request without one is answered with 401, and a refusal with a status that says who can
    do something about it.

    Args:
        audience: the identifier of the API to call.
        scope: space-separated scopes; those of the client grant if it is ``None``.
        client: the name of one of the lifespan's *clients*; ``None`` for the default client.
    """

    description = "An access token for this API."

    def __init__(
        self,
        audience: str,
        scope: str | None = None,
        *,
        client: ClientName | None = None,
    ) -> None:
        super().__init__(client)
        self._audience, self._scope = audience, scope
        self._arguments = (audience, scope, client)

    async def _exchange(self, connection: HTTPConnection) -> TokenExchangeResponse:
        auth0 = auth0_of(connection, self._client)
        return await auth0.get_token_on_behalf_of(self._audience, self._scope)


class ExchangedToken(_BearerExchange):
    """Exchange the external token of the request for an Auth0 token.

    Args:
        subject_token_type: the URI that your Token Exchange Profile is mapped to.
        audience: the identifier of the API to call.
        scope: space-separated scopes.
        client: the name of one of the lifespan's *clients*; ``None`` for the default client.
    """

    description = "A token of the external system."

    def __init__(
        self,
        subject_token_type: str,
        audience: str,
        scope: str | None = None,
        *,
        client: ClientName | None = None,
    ) -> None:
        super().__init__(client)
        self._arguments = (subject_token_type, audience, scope, client)
        self._options = {
            "subject_token_type": subject_token_type,
            "audience": audience,
            "scope": scope,
        }

    async def _exchange(self, connection: HTTPConnection) -> TokenExchangeResponse:
        token = get_bearer_token(connection.headers.get("authorization"))
        options = CustomTokenExchangeOptions(
            subject_token=token,
            **self._options,  # type: ignore[arg-type]
        )
        auth0 = auth0_of(connection, self._client)
        return await auth0.client.custom_token_exchange(options, auth0.store_options)


def _depend_on(checked: Any) -> inspect.Signature:
    """Return the parameters of a ``RequiredUser`` that FastAPI is to see.

    Args:
        checked: the dependency that checks its scopes and finds its user, or ``None``.
    """
    annotations: dict[str, Any] = {
        "connection": HTTPConnection,
        "security_scopes": SecurityScopes,
    }
    if checked is not None:
        annotations["user"] = Annotated[dict[str, Any], checked]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature(
        [
            inspect.Parameter(name, kind, annotation=annotation)
            for name, annotation in annotations.items()
        ]
    )
