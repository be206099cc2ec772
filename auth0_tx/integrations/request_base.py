"""The base of the request-bound clients of both worlds; their methods are generated.

``RequestAuth0`` and ``AsyncRequestAuth0`` have the client's methods, with *store_options* and
the request's bearer token already given.  ``tools/generate_shells.py`` writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from ..errors import CustomTokenExchangeErrorCode as Code
from ..errors import InsufficientScopeError, InvalidInputError, LoginRequiredError
from ..secret import SecretStr, Unpicklable, secret
from ..session_values import AccessTokenSet, UserClaims

C = TypeVar("C")

# More than RFC 6750 section 2.1 has, as external tokens come this way too; no white space.
_is_token = re.compile(r"[\x21-\x7e]+").fullmatch


def get_bearer_token(authorization: str | None) -> SecretStr:
    """Return the token of an ``Authorization`` field (RFC 6750 section 2.1).

    Raises:
        InvalidInputError: there is no field, it is of another scheme, or has no token in it.
    """
    scheme, _, token = (authorization or "").partition(" ")
    token = SecretStr(token.strip(" "))
    if scheme.lower() == "bearer" and _is_token(token):
        return token
    code = Code.INVALID_ARGUMENT
    if scheme.lower() == "bearer" and token:
        code = Code.INVALID_TOKEN_FORMAT
    # What another scheme sends is a secret too, such as a password: none in this frame.
    del authorization, token
    raise InvalidInputError(
        "the request has no bearer token", code, parameter="authorization"
    )


def check_login(user: UserClaims | None) -> UserClaims:
    """Return the claims of the logged-in user.

    Raises:
        LoginRequiredError: nobody is logged in.
    """
    if user is None:
        raise LoginRequiredError("nobody is logged in")
    return user


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
