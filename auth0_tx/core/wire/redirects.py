"""URLs that a browser is sent to: Auth0's logout, and another application's login.

Auth0's Session Delegation: a custom token exchange for the audience
``urn:<tenant>:session_transfer`` brings a token that logs an actor in elsewhere, once.
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
from ...token_types import TokenType
from ...values import SessionTransferToken, TokenExchangeResponse
from .domains import issuer_url
from .problems import Problem, check_text


def build_logout_url(domain: str, client_id: str, return_to: str | None) -> str:
    """Give the URL to send the browser to.

    Args:
        domain: the tenant's, as normalised.
        client_id: the application's id, whose Allowed Logout URLs count.
        return_to: where Auth0 sends the browser afterwards.

    Raises:
        InvalidInputError: *return_to* is no http or https URL.
    """
    parameters = {"client_id": client_id}
    if return_to is not None:
        rule = check_text(return_to) or web_url_rule(return_to)
        if rule is not None:
            raise Problem("return_to", rule).error()
        parameters["returnTo"] = return_to
    return f"{issuer_url(domain)}v2/logout?{urlencode(parameters)}"


def web_url_rule(url: str) -> str | None:
    """Give the rule that *url* breaks as an absolute URL of the web, or ``None``."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "must be an absolute URL"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "must be an absolute URL that starts with https:// or http://"
    # RFC 3986 section 3.2.2 lets a name have "&" and its like; no host on the web does.
    if not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", parts.hostname):
        return "must be an absolute URL with the name or address of a host"
    # RFC 3986 section 3.2.2: behind an address in brackets there is a port, or nothing.
    if parts.netloc.rpartition("]")[2][:1] not in ("", ":") and "]" in parts.netloc:
        return "must be an absolute URL"
    # RFC 3986 section 3.2.1 lets a user stand before the host; here it only deceives.
    if "@" in parts.netloc or "\\" in url or " " in url:
        return "must be an absolute URL without a user, a backslash or a space"
    return None


_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def session_transfer_audience(domain: str) -> str:
    """Give the audience that asks for a session transfer token of the tenant at *domain*."""
    return f"urn:{domain.removeprefix('http://')}:session_transfer"


def read_session_transfer(
    response: TokenExchangeResponse,
) -> SessionTransferToken | InvalidResponseError:
    """Take the session transfer token out of an answer, or say that there is none in it.

    Another token in its place is not passed off as one: it would let in whoever gets hold
    of a URL.
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
    """Give a refusal the code that Auth0 has announced for it, where it still has another."""
    if not isinstance(error, RefusedError) or error.code != "invalid_request":
        return error
    said = error.message.lower()
    if "setactor is required" in said:
        return error.evolve(code=Code.SETACTOR_REQUIRED, hint=_SET_ACTOR)
    if "session transfer token" in said and "cannot be requested" in said:
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
        token: what ``request_session_transfer_token`` gave.
        organization: the organization to log in to, where the token is for one.

    Returns:
        The URL to redirect the browser to; keep it out of logs.

    Raises:
        InvalidInputError: an argument breaks a rule.
    """
    problem = _redirect_problem(target_login_url, token, organization)
    if problem is not None:
        raise problem.error()
    parameters = {"session_transfer_token": str(token.session_transfer_token)}
    if organization is not None:
        parameters["organization"] = organization
    joint = "&" if "?" in target_login_url else "?"
    if target_login_url.endswith(("?", "&")):
        joint = ""
    return SecretStr(f"{target_login_url}{joint}{urlencode(parameters)}")


def _redirect_problem(
    url: object, token: object, organization: object
) -> Problem | None:
    rule = check_text(url) or web_url_rule(str(url))
    if rule is None:
        parts = urlsplit(str(url))
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            rule = "must be https; http is for this machine alone"
        elif parts.fragment or str(url).endswith("#"):
            rule = "must not have a fragment"
        else:
            rule = _repeated(parts.query, organization is not None)
    if rule is not None:
        return Problem("target_login_url", rule)
    if not isinstance(token, SessionTransferToken):
        return Problem("token", "must be a SessionTransferToken")
    rule = None if organization is None else check_text(organization)
    return Problem("organization", rule) if rule else None


def _repeated(query: str, has_organization: bool) -> str | None:
    """Give the rule that a parameter breaks which is there already, in whatever spelling."""
    names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    # Of two parameters with one name, some readers take the first.
    for name in ("session_transfer_token", "organization")[: 1 + has_organization]:
        if name in names:
            return f"must not have the parameter {name} already"
    return None


_SET_ACTOR = "the Action of the profile must call api.authentication.setActor()."
