"""Routes for the login by a posted token, the logout, and Auth0's back-channel logout.

The login and the logout are for pages of this site only (see ``cross_origin``).  Session cookies
with ``SameSite=Lax`` are not enough.  A login needs no cookie.  The answer to a logout deletes
cookies, also if the request brought none: any site could log the visitor out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue

from ...errors import Auth0Error
from ...secret import conceal
from ..error_answers import NO_STORE
from ..login_redirects import NEXT
from ..posted_logins import (
    INVALID_LOGIN,
    SUBJECT_TOKEN,
    OptionsMaker,
    choose_next,
    describe_logout,
    is_json,
    is_script,
    parse_fields,
    read_fields,
)
from .current import auth0_of
from .guards import (
    answer_error,
    answer_or_raise,
    login_not_required,
    respond,
    same_origin_required,
)


def make_blueprint(prefix: str, client: str | None) -> Blueprint:
    """Return a blueprint for a client, whose name begins with *prefix*."""
    return Blueprint(f"{prefix}_{client}" if client else prefix, __name__)


def add_login(
    blueprint: Blueprint,
    url: str,
    make_options: OptionsMaker,
    *,
    next_url: str,
    trusted_origins: Collection[str],
    client: str | None,
) -> None:
    """Add the route ``login`` to a blueprint, which exchanges the ``subject_token`` of its body."""

    @blueprint.post(url)
    @login_not_required
    @same_origin_required(trusted_origins=trusted_origins)
    def login() -> ResponseReturnValue:
        posted = _read_posted()
        token = posted.get(SUBJECT_TOKEN)
        if not token:
            return respond(INVALID_LOGIN)
        try:
            auth0_of(client).login(make_options(token))
        except Auth0Error as error:
            return answer_or_raise(error)
        if _is_script():
            return "", 204
        return redirect(choose_next(posted, request.args.get(NEXT), next_url), 303)


def add_logout(
    blueprint: Blueprint,
    url: str,
    *,
    return_to: str | None,
    trusted_origins: Collection[str],
    client: str | None,
) -> None:
    """Add the route ``logout`` to a blueprint, which leads by way of Auth0 to *return_to*."""

    @blueprint.post(url)
    @login_not_required
    @same_origin_required(trusted_origins=trusted_origins)
    def logout() -> ResponseReturnValue:
        try:
            target = auth0_of(client).logout(return_to=return_to)
        except Auth0Error as error:
            return answer_or_raise(error)
        return describe_logout(target) if _is_script() else redirect(target, 303)


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
        return Response(status=200, headers=NO_STORE)


def _read_posted() -> Mapping[str, str]:
    if is_json(request.content_type):
        return parse_fields(request.get_data())
    return read_fields(request.form)


def _is_script() -> bool:
    return is_script(
        content_type=request.content_type,
        accept=request.headers.get("Accept"),
        fetch_mode=request.headers.get("Sec-Fetch-Mode"),
    )
