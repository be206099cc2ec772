"""URLs that a browser is sent to: Auth0's logout, and another application's login.

A URL here carries something worth stealing, a token or a user on the way to log out, so
its host must be the one that the caller meant.  ``check_web_url`` takes only URLs whose
host every parser and browser reads the same.

Auth0's Session Transfer: a custom token exchange for the audience
``urn:<tenant>:session_transfer`` brings a token that logs an actor in elsewhere, once.
The token travels in the query of the target's login URL, because that is where Auth0
expects it; it is good for one use and about a minute.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

from ...errors import (
    CustomTokenExchangeError,
    InvalidResponseError,
    RefusedError,
)
from ...errors import CustomTokenExchangeErrorCode as Code
from ...secret import SecretStr
from ...session_values import SessionTransferToken
from ...token_types import TokenType
from ...values import TokenExchangeResponse
from .domains import issuer_url
from .problems import Problem, check_text

_LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")

_SET_ACTOR_HINT = "the Action of the profile must call api.authentication.setActor()."

# A DNS name, or an address without its brackets.  RFC 3986 section 3.2.2 lets a name have
# "&" and its like; no host on the web does.
_is_host = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+").fullmatch


def build_logout_url(domain: str, client_id: str, return_to: str | None) -> str:
    """Build the URL that ends the browser's session at Auth0.

    Args:
        domain: the tenant's, as normalised.
        client_id: the application's id, whose Allowed Logout URLs count.
        return_to: where Auth0 sends the browser afterwards.

    Raises:
        InvalidInputError: *return_to* is not an http or https URL.
    """
    check_return_to(return_to)
    parameters = {"client_id": client_id}
    if return_to is not None:
        parameters["returnTo"] = return_to
    return f"{issuer_url(domain)}v2/logout?{urlencode(parameters)}"


def check_return_to(return_to: str | None) -> None:
    """Raise an error if *return_to* is not ``None``, and not a URL to return to.

    Raises:
        InvalidInputError: it is not an http or https URL.
    """
    if return_to is None:
        return
    rule = check_text(return_to) or check_web_url(return_to)
    if rule is not None:
        raise Problem("return_to", rule).error()


def check_web_url(url: str) -> str | None:
    """Return the rule that *url* breaks as an absolute URL of the web, or ``None``."""
    try:
        parts = urlsplit(url)
        # Parsed on access; a port beyond 65,535 raises.
        port = parts.port
    except ValueError:
        return "must be an absolute URL"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "must be an absolute URL that starts with https:// or http://"
    if not _is_host(parts.hostname):
        return "must be an absolute URL with the name or address of a host"
    # RFC 3986 section 3.2.2: behind an address in brackets there is a port, or nothing.
    # urlsplit() takes "[::1].evil.example" for the address alone.
    if parts.netloc.rpartition("]")[2][:1] not in ("", ":") and "]" in parts.netloc:
        return "must be an absolute URL"
    # RFC 3986 section 3.2.1 allows a user before the host; here it only deceives.  A
    # browser reads a backslash as a slash, so it would see another host (WHATWG URL 4.4).
    if "@" in parts.netloc or "\\" in url or " " in url:
        return "must be an absolute URL without a user, a backslash or a space"
    return None


def session_transfer_audience(domain: str) -> str:
    """Return the audience that asks the tenant at *domain* for a session transfer token."""
    return f"urn:{domain.removeprefix('http://')}:session_transfer"


def read_session_transfer(
    response: TokenExchangeResponse,
) -> SessionTransferToken | InvalidResponseError:
    """Take the session transfer token out of a response, or return an error.

    Another kind of token is not passed off as one: it is going to be put into a URL, and
    from there an access token would get into logs and browser histories.
    """
    if response.issued_token_type != TokenType.SESSION_TRANSFER_TOKEN:
        return InvalidResponseError(
            "issued_token_type is not that of a session transfer token",
            status=200,
            tokens_issued=True,
        )
    return SessionTransferToken(
        session_transfer_token=response.access_token,
        issued_token_type=response.issued_token_type,
        token_type=response.token_type,
        expires_in=response.expires_in,
        scope=response.scope,
    )


def name_refusal(error: CustomTokenExchangeError) -> CustomTokenExchangeError:
    """Return a refusal with the code that Auth0 has announced for it, if it has another.

    Auth0 has announced ``setactor_required`` and ``session_transfer_disabled``.  Its
    responses still say ``invalid_request``, and only the description tells which it is.
    """
    if not isinstance(error, RefusedError) or error.code != "invalid_request":
        return error
    description = error.message.lower()
    if "setactor is required" in description:
        return error.evolve(code=Code.SETACTOR_REQUIRED, hint=_SET_ACTOR_HINT)
    if "session transfer token" in description and "cannot be requested" in description:
        return error.evolve(code=Code.SESSION_TRANSFER_DISABLED)
    return error


def build_session_transfer_redirect(
    target_login_url: str,
    token: SessionTransferToken,
    *,
    organization: str | None = None,
) -> str:
    """Build the URL that hands a session transfer token to another application's login.

    The token is in the query, where the target expects it; it is good for one use.

    Args:
        target_login_url: the target's own login URL: https, or http on this machine.
        token: the result of ``request_session_transfer_token``.
        organization: the organization to log in to, if the token is for one.

    Returns:
        The URL to redirect the browser to; keep it out of logs.

    Raises:
        InvalidInputError: an argument breaks a rule.
    """
    problem = _check_redirect(target_login_url, token, organization)
    if problem is not None:
        raise problem.error()
    parameters = {"session_transfer_token": str(token.session_transfer_token)}
    if organization is not None:
        parameters["organization"] = organization
    # The target's own parameters stay byte for byte as they are: it may have signed them.
    joint = "&" if "?" in target_login_url else "?"
    if target_login_url.endswith(("?", "&")):
        joint = ""
    return SecretStr(f"{target_login_url}{joint}{urlencode(parameters)}")


def _check_redirect(url: object, token: object, organization: object) -> Problem | None:
    rule = check_text(url) or check_web_url(str(url))
    if rule is None:
        parts = urlsplit(str(url))
        # The token must not cross a network in the clear.
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK_HOSTS:
            rule = "must be https; http is allowed on this machine only"
        # A query behind the fragment would be part of it and never reach the target.
        elif parts.fragment or str(url).endswith("#"):
            rule = "must not have a fragment"
        else:
            rule = _check_query(parts.query, organization is not None)
    if rule is not None:
        return Problem("target_login_url", rule)
    if not isinstance(token, SessionTransferToken):
        return Problem("token", "must be a SessionTransferToken")
    rule = None if organization is None else check_text(organization)
    return Problem("organization", rule) if rule else None


def _check_query(query: str, has_organization: bool) -> str | None:
    """Return a rule if *query* has a parameter already that will be added, however spelt."""
    names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    # Of two parameters with one name, some servers take the first: an attacker who supplies
    # the login URL could log the user in with a token of the attacker's.
    for name in ("session_transfer_token", "organization")[: 1 + has_organization]:
        if name in names:
            return f"must not have the parameter {name} already"
    return None
