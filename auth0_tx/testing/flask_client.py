"""Logins for Flask's test client, within a request of its own.

For that one request, the first ``before_request`` function of the application is the login.  So
Flask opens and saves its session, sets our cookies, and the client keeps both.
"""

from __future__ import annotations

from typing import Any

from flask import Response, request

from ..integrations.flask import auth0_of
from ..session_values import UserClaims
from .planned_login import LoginOutcome, PlannedLogin

_MARK = "auth0_tx.testing.login"


def log_in_with_flask(
    client: Any, planned: PlannedLogin, name: str | None
) -> UserClaims:
    """Log in through the test client of an application."""
    app, outcome = client.application, LoginOutcome()

    def log_in() -> Response | None:
        # Another thread may be testing the same application.
        if request.environ.get(_MARK) is not planned:
            return None
        with outcome.catch():
            bound = auth0_of(name)
            planned.prepare(bound)
            bound.login(planned.make_options())
            outcome.user = planned.fetch_tokens(bound)
        return Response()

    functions = app.before_request_funcs.setdefault(None, [])
    functions.insert(0, log_in)
    try:
        response = client.get(
            "/", url_scheme="https", environ_overrides={_MARK: planned}
        )
    finally:
        functions.remove(log_in)
    return outcome.get_user(response)
