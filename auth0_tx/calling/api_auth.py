"""An auth object for ``requests`` that attaches the token of an exchange.

``requests`` calls it once, for the first URL, and copies the header to the URLs that it is
redirected to on the same host.  So the response hook looks at each redirect, and takes the
header off where the next URL is not below the API's base URL.  A token that a redirect has lost
is not attached again: who sent the request there may not be who chose its URL.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urljoin, urlparse

import requests
from requests.auth import AuthBase
from requests.cookies import extract_cookies_to_jar
from requests.sessions import SessionRedirectMixin
from requests.utils import requote_uri, rewind_body
from urllib3.exceptions import HTTPError

from ..client import ServerClient
from ..core.flows.api_tokens import ApiToken
from ..core.wire.api_calls import is_token_refused
from ..errors import Auth0Error
from ..shells.drivers import cut_traceback, run
from ..values import CustomTokenExchangeOptions
from .api_auth_base import LONGEST_DRAIN, ApiAuthBase

_BODIES = (str, bytes, bytearray, memoryview, type(None))


class ApiAuth(
    ApiAuthBase[ServerClient, Callable[[], CustomTokenExchangeOptions]], AuthBase
):
    """The ``auth`` of a ``requests.Session``: attaches a token that is good for one API.

    Make one with ``for_exchange``, ``for_session`` or ``on_behalf_of``.  The token is replaced
    shortly before it expires.  If the API answers 401, the client exchanges once more, and the
    request is sent once more if its body can be.
    """

    _client_type = ServerClient

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Attach the token to a request below the base URL; leave every other one alone.

        Raises:
            LoginRequiredError: the session has ended, or cannot renew its tokens.
            CustomTokenExchangeError: how the exchange failed; nothing was sent to the API.
        """
        if self._api.covers(r.url):
            token = self._find_current() or self._obtain()
            self._attach(r, token)
            r.register_hook("response", partial(self._handle_response, token))
        return r

    def _obtain(self, refused: str | None = None) -> ApiToken:
        client = self._client
        try:
            return run(self._tokens.obtain(client._context, refused), client._world)
        except Auth0Error as error:
            raise cut_traceback(error)

    def _attach(self, request: requests.PreparedRequest, token: ApiToken) -> None:
        headers = self._make_headers(token, str(request.method), str(request.url))
        request.headers.update(headers)

    def _handle_response(
        self, token: ApiToken, response: requests.Response, **sending: Any
    ) -> requests.Response:
        """Look at a response to a request that *token* was attached to.

        Args:
            token: the token.
            response: the response.
            sending: how the request was sent: its timeout, its proxies and the like.
        """
        request = response.request
        if response.is_redirect:
            leads_out = not self._api.covers(_find_target(response))
            # Elsewhere, a header is none of ours.
            if leads_out and self._api.covers(request.url):
                request.headers.pop("Authorization", None)
            return response
        if response.status_code != 401 or not self._is_refused(response, token):
            return response
        try:
            latest = self._obtain(refused=token.access_token)
        except BaseException:
            # Nobody is going to get it, and its connection must not wait for that.
            response.close()
            raise
        if latest.access_token == token.access_token or not _rewind(request):
            return response
        return self._send_again(request, latest, response, sending)

    def _is_refused(self, response: requests.Response, token: ApiToken) -> bool:
        """Return whether a 401 is the API's, and about the token."""
        request = response.request
        own = self._make_headers(token, str(request.method), str(request.url))
        sent = request.headers.get("Authorization")
        return (
            # Taken off by a redirect, or replaced by something of the application's.
            sent == own["Authorization"]
            and self._api.covers(request.url)
            and is_token_refused(_list_challenges(response))
        )

    def _send_again(
        self,
        request: requests.PreparedRequest,
        token: ApiToken,
        refusal: requests.Response,
        sending: dict[str, Any],
    ) -> requests.Response:
        """Send a request with a new token, and return whatever the API answers."""
        _drain(refusal)
        # As for any response: a gateway may have set a cookie that routes the next request.
        cookies: Any = request._cookies
        extract_cookies_to_jar(cookies, request, refusal.raw)
        request.prepare_cookies(cookies)
        # The request itself and not a copy: requests copies it where it is redirected.
        self._attach(request, token)
        response = refusal.connection.send(request, **sending)
        response.history.append(refusal)
        return response


def _find_target(response: requests.Response) -> str:
    """Return the URL that ``requests`` is going to follow a redirect to.

    The steps are those of ``requests`` itself, with the same functions, or what is checked here
    would not be what is sent.
    """
    target = SessionRedirectMixin().get_redirect_target(response) or ""
    try:
        if target.startswith("//"):
            target = f"{urlparse(response.url).scheme}:{target}"
        parsed = urlparse(target)
        target = requote_uri(parsed.geturl())
        return target if parsed.netloc else urljoin(response.url, target)
    except ValueError:
        return ""


def _list_challenges(response: requests.Response) -> list[str]:
    value = response.headers.get("WWW-Authenticate")
    return [] if value is None else [value]


def _rewind(request: requests.PreparedRequest) -> bool:
    """Make the body ready to be sent again; return whether it can be."""
    if isinstance(request.body, _BODIES):
        return True
    # Where the body began, if requests could tell.
    if not isinstance(getattr(request, "_body_position", None), int):
        return False
    try:
        rewind_body(request)
    except requests.exceptions.UnrewindableBodyError:
        return False
    return True


def _drain(response: requests.Response) -> None:
    """Read the rest of a body if there is little of it, so that its connection is used again."""
    # A broken body is no reason not to send again, on another connection.
    with suppress(requests.RequestException, HTTPError, OSError, ValueError):
        response.raw.read(LONGEST_DRAIN, decode_content=False)
    # A connection that has more to come is closed, and not given back.
    response.close()
