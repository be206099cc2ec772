"""``auth0`` in templates: who is logged in, and nothing else.

Templates print whatever they find, and ``{% debug %}`` and the page of ``DEBUG`` print all of it.
So ``auth0`` leads to no token and to no method that changes something.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.http import HttpRequest
from django.utils.asyncio import async_unsafe

from ...session_values import UserClaims
from ..settings import DEFAULT
from .request_client import auth0_of


class TemplateAuth0:
    """The login of a request, as a template sees it; nothing is read until it asks.

    ``{{ auth0.user.name }}`` is a claim of the user.  ``{% if auth0.is_logged_in %}`` asks
    whether there is one.

    Args:
        request: the request.
        name: the name in ``AUTH0_TX`` of the client whose login is meant.
    """

    def __init__(self, request: HttpRequest, name: str = DEFAULT) -> None:
        self._request = request
        self._name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    @cached_property
    def user(self) -> UserClaims | None:
        """The claims of the logged-in user, or ``None``.

        Raises:
            StoreError: the store cannot be read.
        """
        return self._read_user()

    @property
    def is_logged_in(self) -> bool:
        """Whether a user is logged in."""
        return self.user is not None

    # As Django's database does: an async view that renders a template would block the loop.
    @async_unsafe(
        "the template asks for the login session, which blocks: in an async view, use "
        "await sync_to_async(render)(request, ...)"
    )
    def _read_user(self) -> UserClaims | None:
        return auth0_of(self._request, self._name).user


def auth0(request: HttpRequest) -> dict[str, Any]:
    """Return ``auth0`` for a template; for the ``context_processors`` of ``TEMPLATES``."""
    return {"auth0": TemplateAuth0(request)}
