"""Errors as answers: an HTTP error, a closed WebSocket, or the way to the login page."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.websockets import WebSocket, WebSocketState

from ...errors import Auth0Error, ConfigurationError
from ..error_answers import NO_STORE, ErrorAnswer, answer_for
from ..login_redirects import choose_login_redirect, format_page

T = TypeVar("T")

# RFC 6455 section 7.4.1, and 1013 of IANA's registry: try again later.
_POLICY_VIOLATION, _INTERNAL_ERROR, _TRY_AGAIN_LATER = 1008, 1011, 1013


class Auth0HTTPException(HTTPException):
    """An error of this library as an HTTP error.

    The dependencies of FastAPI and ``login_required`` raise it, so that an application needs
    no handler of ours.  With :func:`handle_errors`, its body is that of all our errors.

    Attributes:
        answer: the answer to the request.
    """

    def __init__(self, answer: ErrorAnswer) -> None:
        super().__init__(answer.status, answer.error, answer.headers)
        self.answer = answer


def handle_errors(app: Starlette, *, login_url: str | None = None) -> None:
    """Answer errors of this library that an endpoint does not catch.

    The status says who can do something about it; the body, ``{"error": code}``, gives no
    detail.  A WebSocket is closed, with the code as the reason.

    Args:
        app: the application.
        login_url: the login page.  A browser that opens a page and is not logged in is
            redirected there, with the page's path as ``next``; ``None`` for JSON in any case.
    """

    async def answer_error(connection: Any, error: Exception) -> Response | None:
        if isinstance(error, Auth0HTTPException):
            answer = error.answer
        else:
            assert isinstance(error, Auth0Error)
            answer = answer_for(error)
        if connection.scope["type"] == "websocket":
            await _close(connection, answer)
            return None
        return _make_response(connection, answer, login_url)

    for kind in (Auth0Error, Auth0HTTPException):
        app.add_exception_handler(kind, answer_error)  # type: ignore[arg-type]


async def finish_or_refuse(request: HTTPConnection, work: Awaitable[T]) -> T:
    """Return what *work* returns; have the request or the WebSocket answered if that fails.

    Raises:
        Auth0HTTPException: the answer to an error of this library, which is logged.
        starlette.exceptions.WebSocketException: the same, for a WebSocket.
        ConfigurationError: a setting is wrong.
    """
    try:
        return await work
    except ConfigurationError:
        # Of this service: its developer must see where.
        raise
    except Auth0Error as error:
        answer = answer_for(error)
    # Outside the handler: what Auth0 said is in the log, and not in this error's context.
    raise make_refusal(request, answer)


def make_refusal(
    request: HTTPConnection, answer: ErrorAnswer
) -> Auth0HTTPException | WebSocketException:
    """Return the exception that has the request or the WebSocket answered."""
    if request.scope["type"] == "websocket":
        return WebSocketException(_choose_close_code(answer), answer.error)
    return Auth0HTTPException(answer)


def respond(answer: ErrorAnswer) -> Response:
    """Return the response with an answer's status, code and header fields."""
    return JSONResponse(answer.body, answer.status, answer.headers)


def _make_response(
    request: Request, answer: ErrorAnswer, login_url: str | None
) -> Response:
    # Of the scope, because the request's URL has the host of its own Host field.
    scope = request.scope
    target = choose_login_redirect(
        answer,
        lambda: login_url,
        format_page(scope["path"], scope.get("query_string", b"")),
        method=request.method,
        accept=request.headers.get("accept"),
        fetch_mode=request.headers.get("sec-fetch-mode"),
    )
    if target is None:
        return respond(answer)
    return RedirectResponse(target, 302, NO_STORE)


def _choose_close_code(answer: ErrorAnswer) -> int:
    if answer.status < 500:
        return _POLICY_VIOLATION
    return _INTERNAL_ERROR if answer.status == 500 else _TRY_AGAIN_LATER


async def _close(socket: WebSocket, answer: ErrorAnswer) -> None:
    """Close a WebSocket; one that was not accepted yet is answered with 403 by the server."""
    if WebSocketState.DISCONNECTED in (socket.client_state, socket.application_state):
        return
    await socket.close(_choose_close_code(answer), answer.error)
