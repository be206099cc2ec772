"""The base of the request-bound clients of both worlds; their methods are generated.

``RequestAuth0`` and ``AsyncRequestAuth0`` have the client's methods, with *store_options* and
the request's bearer token already given.  ``tools/generate_shells.py`` writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from ..errors import InsufficientScopeError, InvalidInputError
from ..secret import SecretStr, Unpicklable, secret
from ..values import AccessTokenSet

C = TypeVar("C")


def get_bearer_token(authorization: str | None) -> SecretStr:
    """Return the token of an ``Authorization`` field (RFC 6750 section 2.1).

    Raises:
        InvalidInputError: there is no field, or it is of another scheme.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return SecretStr(token.strip())
    # What another scheme sends is a secret too, such as a password: none in this frame.
    del authorization, token
    raise InvalidInputError(
        "the request has no bearer token", parameter="authorization"
    )


def check_scopes(token_set: AccessTokenSet, scopes: Iterable[str]) -> None:
    """Raise an error if an access token was not granted every scope of *scopes*.

    A token whose scope is not known has none: Auth0 names the scope that it grants.

    Args:
        token_set: the user's access token, as ``get_token_set(audience)`` returns it.
        scopes: the scopes that are required, each a string without spaces, or one string of
            several, space-separated.

    Raises:
        InsufficientScopeError: a scope was not granted.
    """
    # One string is a text of scopes, and not a collection of letters.
    names = scopes.split() if isinstance(scopes, str) else scopes
    required = list(dict.fromkeys(names))
    if not {*required} <= {*(token_set.scope or "").split()}:
        scope = " ".join(required)
        raise InsufficientScopeError(
            f"the user's access token lacks a scope of {scope}"
        ).with_scope(scope)


class RequestBase(Unpicklable, Generic[C]):
    """A client, bound to one request; nothing is read until a method asks for it.

    Attributes:
        client: the application's client.
        store_options: what the client's methods take for this request.
    """

    def __init__(
        self,
        client: C,
        store_options: Mapping[str, Any],
        authorization: str | None,
    ) -> None:
        """Bind *client* to a request.

        Args:
            client: the application's client.
            store_options: the request, and the response if there is one already.
            authorization: the request's ``Authorization`` field, or ``None``.
        """
        self.client = client
        self.store_options = store_options
        self._authorization = secret(authorization)

    def _get_bearer_token(self) -> SecretStr:
        return get_bearer_token(self._authorization)
