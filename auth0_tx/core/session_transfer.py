"""Session transfer tokens: what they are asked for with, and where they go.

Auth0's Session Delegation: a custom token exchange for the audience
``urn:<tenant>:session_transfer`` gives a token that logs an actor in elsewhere, once.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from ..errors import CustomTokenExchangeError, InvalidResponseError, RefusedError
from ..errors import CustomTokenExchangeErrorCode as Code
from ..secret import SecretStr
from ..token_types import TokenType
from ..values import SessionTransferToken, TokenExchangeResponse
from .logout_url import web_url_rule
from .problems import Problem, text_rule

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


def named_refusal(error: CustomTokenExchangeError) -> CustomTokenExchangeError:
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
    rule = text_rule(url) or web_url_rule(str(url))
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
    rule = None if organization is None else text_rule(organization)
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
