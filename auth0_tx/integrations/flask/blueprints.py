"""Routes for the login by a posted token, the logout, and Auth0's back-channel logout.

The login and the logout are for pages of this site only (see ``cross_origin``).  Session cookies
with ``SameSite=Lax`` are not enough.  A login needs no cookie.  The answer to a logout deletes
cookies, also if the request brought none: any site could log the visitor out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue

from ...errors import Auth0Error
from ...secret import conceal
from ...values import LoginWithCustomTokenExchangeOptions
from ..login_redirects import NEXT, read_next
from .current import auth0_of
from .guards import (
    answer_error,
    answer_or_raise,
    login_not_required,
    refuse,
    same_origin_required,
)

OptionsMaker = Callable[[str], LoginWithCustomTokenExchangeOptions]
"""A function that makes the options of a login from the token that was posted."""


def make_blueprint(prefix: str, client: str | None) -> Blueprint:
    """Return a blueprint for a client, whose name begins with *prefix*."""
    return Blueprint(f"{prefix}_{client}" if client else prefix, __name__)


def add_login(
    blueprint: Blueprint,
    make_options: OptionsMaker,
    *,
    next_url: str,
    trusted_origins: Collection[str],
    client: str | None,
) -> None:
    """Add the route ``login`` to a blueprint, which exchanges the ``subject_token`` of its body."""

    @blueprint.post("/login")
    @login_not_required
    @same_origin_required(trusted_origins=trusted_origins)
    def login() -> ResponseReturnValue:
        body = _read_body()
        token = body.get("subject_token")
        if not isinstance(token, str) or not token:
            return refuse(400, "invalid_request")
        try:
            auth0_of(client).login(make_options(token))
        except Auth0Error as error:
            return answer_or_raise(error)
        target = read_next(request.args.get(NEXT, body.get(NEXT)), next_url)
        return {NEXT: target} if request.is_json else redirect(target, 303)


def add_logout(
    blueprint: Blueprint,
    *,
    return_to: str | None,
    trusted_origins: Collection[str],
    client: str | None,
) -> None:
    """Add the route ``logout`` to a blueprint, which leads by way of Auth0 to *return_to*."""

    @blueprint.post("/logout")
    @login_not_required
    @same_origin_required(trusted_origins=trusted_origins)
    def logout() -> ResponseReturnValue:
        try:
            url = auth0_of(client).logout(return_to=return_to)
        except Auth0Error as error:
            return answer_or_raise(error)
        # A script's fetch can't follow a redirect to Auth0.
        return {"location": url} if request.is_json else redirect(url, 303)


def add_backchannel_logout(blueprint: Blueprint, url: str, client: str | None) -> None:
    """Add the route ``backchannel_logout`` to a blueprint, which Auth0 asks to end sessions."""

    @blueprint.post(url)
    @login_not_required
    def backchannel_logout() -> Response:
        token = conceal(request.form.get("logout_token", ""))
        try:
            auth0 = auth0_of(client)
            auth0.client.handle_backchannel_logout(token, auth0.store_options)
        except Auth0Error as error:
            return answer_error(error)
        # OpenID Connect Back-Channel Logout 1.0 section 2.8.
        return Response(status=200, headers={"Cache-Control": "no-store"})


def _read_body() -> dict[str, Any]:
    """Return the members of a JSON object, or the fields of a form."""
    body = request.get_json(silent=True) if request.is_json else request.form.to_dict()
    fields: dict[str, Any] = conceal(body if isinstance(body, dict) else {})
    return fields
