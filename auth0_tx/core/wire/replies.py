"""The token endpoint's answers: a response in, tokens out, or an error that says whose fault.

A reader here *returns* an error instead of raising it, so that no traceback passes a
frame that holds a body (see ``problems``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

import attrs

from ...errors import (
    AmbiguousError,
    BlockedError,
    CustomTokenExchangeError,
    InvalidResponseError,
    MfaRequiredError,
    RateLimitError,
    RefusedError,
)
from ...errors import CustomTokenExchangeErrorCode as Code
from ...secret import REDACTED
from ...token_types import TokenType
from ...values import TokenExchangeResponse
from ..effects import Response
from .hints import hint_for
from .reading import parse_rate_limit_reset, parse_retry_after, read_json

TOKEN_RESPONSE_LIMIT = 262_144

NOT_APPLICABLE = "N_A"
"""The ``token_type`` of a token that is no access token (RFC 8693 section 2.2.1)."""

_LONGEST_TEXT = 256
_VISIBLE = bytes(range(0x21, 0x7F))
_LONGEST_LIFETIME = 2**31 - 1
# RFC 6749 appendix A.7, less the characters that would need escaping in a log line; Auth0
# itself sends codes with spaces in them.
_ERROR_CODE = re.compile(r"[ !#-\[\]-~]{1,1024}").fullmatch
_CORRELATION = ("x-correlation-id", "x-auth0-requestid", "x-request-id", "cf-ray")
_GLOBAL_LIMIT = "global limit"
# RFC 7515 section 7.1: what begins with a JSON object in base64url, as every JWT does, an
# assertion of ours and half a token among them.  Rarely needed, so compiled by first use.
_JOSE = r"eyJ[A-Za-z0-9_-]{13,}(?:\.[A-Za-z0-9_-]*)*"


@attrs.frozen
class TokenRequestInfo:
    """What the request was, as far as reading its answer needs to know.

    Attributes:
        scope: the scope requested, which is the one granted where the answer names none.
        subject_token_type: for advice on a refusal.
        reusable: whether the same grant may be sent again after it may have taken effect.
        secrets: texts that an answer may echo and an error must not.
        on_behalf_of: whether it is an exchange on behalf of a user, for advice too.
    """

    scope: str | None = None
    subject_token_type: str | None = None
    reusable: bool = False
    secrets: Collection[str] = attrs.field(default=(), repr=False)
    on_behalf_of: bool = False


def read_token_response(
    response: Response, asked: TokenRequestInfo, now: float
) -> TokenExchangeResponse | CustomTokenExchangeError:
    """Read an answer of the token endpoint (RFC 6749 sections 5.1 and 5.2).

    Args:
        response: the answer.
        asked: what it answers.
        now: epoch seconds, against which its waiting times are read.
    """
    rule = _framing_rule(response)
    if rule is not None:
        return _invalid(response, rule, asked)
    if response.status == 200:
        return _read_success(response, asked, now)
    return _read_refusal(response, asked, now)


def _framing_rule(response: Response) -> str | None:
    """Give what is wrong with the answer before its body is looked at."""
    if 300 <= response.status < 400:
        return "the server answered with a redirect, which is not followed"
    if response.oversized:
        return "the body is larger than any token response"
    encoding = response.header("content-encoding")
    if encoding is not None and encoding.strip().lower() != "identity":
        return "the body is compressed although no compression was accepted"
    if 200 < response.status < 300:
        return "the status is not 200"
    return None


def _read_success(
    response: Response, asked: TokenRequestInfo, now: float
) -> TokenExchangeResponse | CustomTokenExchangeError:
    media_type = (
        (response.header("content-type") or "").partition(";")[0].strip().lower()
    )
    if media_type != "application/json":
        return _invalid(response, f"the media type is {_kind(media_type)}", asked)
    value, rule = read_json(response.body)
    if rule is not None:
        return _invalid(response, f"the body is not JSON: {rule}", asked)
    if not isinstance(value, dict):
        return _invalid(response, "the body is not a JSON object", asked)
    if "error" in value and "access_token" not in value:
        return _refusal(response, value, asked, now)
    rule = _member_rule(value)
    if rule is not None:
        return _invalid(response, rule, asked)
    lifetime = value.get("expires_in")
    return TokenExchangeResponse(
        access_token=value["access_token"],
        token_type=value.get("token_type") or NOT_APPLICABLE,
        expires_in=None if lifetime is None else int(lifetime),
        # RFC 6749 section 5.1: scope is optional if identical to the one requested.
        scope=value["scope"] if value.get("scope") is not None else asked.scope,
        issued_token_type=value.get("issued_token_type"),
        id_token=value.get("id_token"),
        refresh_token=value.get("refresh_token"),
    )


def _member_rule(value: Mapping[str, Any]) -> str | None:
    """Give the first rule that a member of a token response breaks."""
    if not _is_token(value.get("access_token")):
        return "access_token is missing or is not a token"
    return (
        _token_type_rule(value)
        or _lifetime_rule(value.get("expires_in"))
        or _optional_rule(value)
    )


def _token_type_rule(value: Mapping[str, Any]) -> str | None:
    token_type = value.get("token_type")
    # RFC 8693 section 2.2.1: N_A says that the token is not an access token.  Auth0 has
    # been seen to leave it out.
    if (
        token_type in (None, NOT_APPLICABLE)
        and value.get("issued_token_type") == TokenType.SESSION_TRANSFER_TOKEN
    ):
        return None
    if not isinstance(token_type, str):
        return "token_type is missing or is not a string"
    # RFC 6749 section 5.1: the value is case insensitive.
    if token_type.lower() == "bearer":
        return None
    # RFC 6749 section 7.1: a client must not use a token type it does not understand.
    return "token_type is not Bearer"


def _lifetime_rule(lifetime: object) -> str | None:
    if lifetime is None:
        return None
    # Some servers quote the number; nothing but ASCII digits is read as one.
    if isinstance(lifetime, str) and lifetime.isascii() and lifetime.isdigit():
        lifetime = int(lifetime) if len(lifetime) <= 10 else 0
    if type(lifetime) is not int or not 0 < lifetime <= _LONGEST_LIFETIME:
        return "expires_in is not a positive number of seconds"
    return None


def _optional_rule(value: Mapping[str, Any]) -> str | None:
    for name in ("id_token", "refresh_token"):
        if value.get(name) is not None and not _is_token(value[name]):
            return f"{name} is not a token"
    for name in ("scope", "issued_token_type"):
        text = value.get(name)
        if text is not None and not (isinstance(text, str) and _is_visible(text)):
            return f"{name} is not text"
    return None


def _is_token(value: object) -> bool:
    # RFC 6749 appendix A.12: access-token = 1*VSCHAR; the space it allows is no token's.
    return (
        isinstance(value, str)
        and value.isascii()
        and value != ""
        # Three times as fast as a look at each character of a long token.
        and not value.encode("ascii").translate(None, _VISIBLE)
    )


def _is_visible(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _read_refusal(
    response: Response, asked: TokenRequestInfo, now: float
) -> CustomTokenExchangeError:
    value, rule = read_json(response.body)
    if rule is None and isinstance(value, dict):
        return _refusal(response, value, asked, now)
    if response.status == 429 or response.status in (408, 425):
        return _refusal(response, {}, asked, now)
    if response.status >= 500:
        return AmbiguousError(
            "the server failed, and whether the grant took effect is unknown",
            Code.TOKEN_EXCHANGE_FAILED,
            response.status,
            asked.reusable,
            _waiting_time(response, now),
            "reply",
            correlation_id=_correlation_id(response, asked),
        )
    return _invalid(response, "the body of the refusal is not a JSON object", asked)


def _refusal(
    response: Response, value: Mapping[str, Any], asked: TokenRequestInfo, now: float
) -> CustomTokenExchangeError:
    """Make the error for an error response (RFC 6749 section 5.2, and Auth0's variations)."""
    # What the answer itself hands out is not to be shown by its words either.
    asked = attrs.evolve(asked, secrets=[*asked.secrets, *_tokens_of(value)])
    code = _code(value, asked)
    description = _clean(
        value.get("error_description", value.get("message")), asked.secrets
    )
    kind, safe = _kind_of_refusal(response.status, code, description, asked)
    error = kind(
        description or "the server gave no reason",
        code or None,
        response.status,
        safe,
        _waiting_time(response, now),
        "reply",
        False,
        _correlation_id(response, asked),
        hint_for(
            code,
            description,
            response.status,
            asked.subject_token_type,
            on_behalf_of=asked.on_behalf_of,
        ),
    )
    if isinstance(error, MfaRequiredError):
        token, requirements = value.get("mfa_token"), value.get("mfa_requirements")
        error.with_mfa(
            token if isinstance(token, str) else None,
            requirements if isinstance(requirements, dict) else None,
        )
    return error


def _kind_of_refusal(
    status: int, code: str, description: str, asked: TokenRequestInfo
) -> tuple[type[RefusedError], bool]:
    """Tell what kind of refusal it is, and whether sending again is safe."""
    if code == "too_many_attempts":
        return BlockedError, False
    if status == 429:
        return RateLimitError, True
    if status >= 500:
        # Auth0 has sent its global limit as a 500 that says access_denied.
        limited = _GLOBAL_LIMIT in description.lower()
        return RateLimitError if limited else RefusedError, asked.reusable
    if code == "mfa_required":
        return MfaRequiredError, False
    # RFC 9110 section 15.5.9 and RFC 8470 section 5.2: the request was not acted on.
    return RefusedError, status in (408, 425)


def _code(value: Mapping[str, Any], asked: TokenRequestInfo) -> str:
    """Give the server's own code, verbatim where it is one; empty where it is not."""
    # The Management API's shape has its code in errorCode and prose in error.
    for name in ("errorCode", "error"):
        code = value.get(name)
        if isinstance(code, str) and _ERROR_CODE(code):
            return "" if _scrubbed(code, asked.secrets) != code else code
    return ""


def _clean(text: object, secrets: Collection[str]) -> str:
    """Make a server's words fit to show: nothing secret, nothing invisible, not endless."""
    if not isinstance(text, str):
        return ""
    # Scrub before cutting: the cut could leave the first half of a secret.
    text = _scrubbed(text, secrets)
    text = "".join(
        char if char.isprintable() else " " for char in text[: 4 * _LONGEST_TEXT]
    )
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def _tokens_of(value: Mapping[str, Any]) -> list[str]:
    return [
        token
        for name, token in value.items()
        if name.endswith("_token") and isinstance(token, str)
    ]


def _scrubbed(text: str, secrets: Collection[str]) -> str:
    # The longest first: a secret may begin with another.
    for value in sorted(secrets, key=len, reverse=True):
        # A shorter one is a word that the server may well use without having been told.
        if len(value) >= 6:
            for form in {str(value), quote(value), quote_plus(value)}:
                text = text.replace(form, REDACTED)
    return re.sub(_JOSE, REDACTED, text) if "eyJ" in text else text


def _waiting_time(response: Response, now: float) -> float | None:
    """Give the seconds to wait: ``Retry-After`` if present, else until the limit's reset."""
    value = response.header("retry-after")
    seconds = None if value is None else parse_retry_after(value, now)
    if seconds is None and response.status == 429:
        value = response.header("x-ratelimit-reset")
        seconds = None if value is None else parse_rate_limit_reset(value, now)
    return seconds


def _correlation_id(response: Response, asked: TokenRequestInfo) -> str | None:
    for name in _CORRELATION:
        value = response.header(name)
        if value:
            return _clean(value, asked.secrets)[:128]
    return None


def _kind(media_type: str) -> str:
    """Name a media type without quoting what a server may have put there."""
    known = ("text/html", "text/plain", "application/problem+json", "application/xml")
    if media_type in known:
        return f"{media_type}, not application/json"
    return "not application/json" if media_type else "missing"


def _invalid(
    response: Response, rule: str, asked: TokenRequestInfo
) -> InvalidResponseError:
    return InvalidResponseError(
        rule,
        status=response.status,
        # A redirect or a refusal did nothing; a broken 200 spent the subject token.
        retry_safe=response.status == 200 and asked.reusable,
        tokens_issued=200 <= response.status < 300,
        correlation_id=_correlation_id(response, asked),
    )
