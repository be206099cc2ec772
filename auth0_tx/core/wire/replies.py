"""The token endpoint's responses: a response in, tokens out, or an error that says why not.

A response is judged from the outside in, and the first judgement that fails is the error:

1. **Framing.**  A redirect, another 2xx than 200, or a 200 that is oversized or of another
   media type: none of them is a token response, whatever the body says.
2. **A 200** must be JSON by its media type and by a strict parser, an object, and have
   members of the types that RFC 6749 section 5.1 gives them.  This comes before any of it
   is used: after a 200 the subject token is spent, so an error here reports
   ``tokens_issued`` and is not retried, unless the token may be used twice.
3. **Anything else** is a refusal (section 5.2), and its status says so alone.  Its body is
   read leniently, for nothing in it is believed: the server's code and words are only
   reported.  A body that is compressed, oversized, cut off or not JSON is an empty one: a
   gateway's page must not hide a rate limit, or the wait that it asks for.  Auth0 has three
   dialects here: OAuth's ``error``, the Management API's ``errorCode``, and a global limit
   that comes as a 500.

**A server's text is not trusted.**  It may echo the request, so
descriptions and codes lose every secret of the request, everything that looks like a JWT,
and whatever does not print; then they are cut short.

Errors are returned, not raised, so that no traceback passes a frame that holds a body
(see ``problems``).
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
from .client_auth import Clock
from .hints import find_hint
from .reading import (
    COMPRESSED,
    is_compressed,
    read_header,
    read_json,
    read_wait,
)

TOKEN_RESPONSE_LIMIT = 262_144
"""Bytes of a token response: three tokens of 64 KiB, and room to spare."""

NOT_APPLICABLE = "N_A"
"""The ``token_type`` of a token that is not an access token (RFC 8693 section 2.2.1)."""

_LONGEST_TEXT = 256
_VISIBLE = bytes(range(0x21, 0x7F))
# Seconds, 68 years.  More is a mistake, and overflows a 32-bit time somewhere.
_LONGEST_LIFETIME = 2**31 - 1
# RFC 6749 appendix A.7: these characters, which need no escaping in a log line.  Auth0
# itself sends codes with spaces in them.
# Texts of patterns, here and below: only a refusal needs one, and no import pays for it.
_ERROR_CODE = r"[ !#-\[\]-~]{1,1024}"
# The first that is there: Auth0's own ids find the request in its logs, a proxy's do not.
_CORRELATION_HEADERS = (
    "x-correlation-id",
    "x-auth0-requestid",
    "x-request-id",
    "cf-ray",
)
# Not the scope: an empty one says that nothing was granted.
_OPTIONAL_TEXTS = frozenset({"id_token", "refresh_token", "issued_token_type"})
_GLOBAL_LIMIT = "global limit"
# RFC 7515 section 7.1: every JWT begins with a JSON object in base64url, "eyJ".  The
# pattern also finds half a token, and an assertion that only this attempt knew.
_JOSE = r"eyJ[A-Za-z0-9_-]{13,}(?:\.[A-Za-z0-9_-]*)*"


@attrs.define(eq=False, repr=False)
class TokenRequestInfo:
    """The parts of a request that reading its response depends on.

    Attributes:
        scope: the requested scope, which is also the granted one if the response has none.
        subject_token_type: for hints on a refusal.
        reusable: whether the same grant may be sent again after it may have taken effect.
        secrets: texts that a response may echo and an error must not.
        on_behalf_of: whether it is an on-behalf-of exchange, for hints too.
    """

    scope: str | None = None
    subject_token_type: str | None = None
    reusable: bool = False
    secrets: Collection[str] = attrs.field(default=(), repr=False)
    on_behalf_of: bool = False


def read_token_response(
    response: Response, request_info: TokenRequestInfo, clock: Clock
) -> TokenExchangeResponse | CustomTokenExchangeError:
    """Read a response of the token endpoint (RFC 6749 sections 5.1 and 5.2).

    Args:
        response: the response.
        request_info: the request that it answers.
        clock: returns epoch seconds, for the moment at which a token expires, and for a
            waiting time that is named as a date.

    Returns:
        The tokens, or the error that describes why there are none.
    """
    rule = _check_framing(response)
    if rule is not None:
        return _build_invalid_response(response, rule, request_info)
    if response.status != 200:
        return _read_refusal(response, request_info, clock)
    value, rule = read_json(response.body)
    return _read_success(response, value, rule, request_info, clock)


def read_revocation_response(
    response: Response, request_info: TokenRequestInfo, clock: Clock
) -> CustomTokenExchangeError | None:
    """Read a response of the revocation endpoint (RFC 7009 section 2.2).

    Returns:
        ``None`` if the token is revoked, or the error that says why not.
    """
    # The status says all, and the body is not read.
    if 200 <= response.status < 300:
        return None
    rule = _check_framing(response)
    if rule is not None:
        return _build_invalid_response(response, rule, request_info)
    error = _read_refusal(response, request_info, clock)
    if isinstance(error, AmbiguousError):
        return error.evolve(
            message="the server failed; whether it revoked the token is unknown"
        )
    return error


def _check_framing(response: Response) -> str | None:
    """Return the rule that the response breaks before its body is read, or ``None``."""
    # Following a redirect would send the subject token and the client's secret to an
    # address that nobody configured.
    if 300 <= response.status < 400:
        return "the server answered with a redirect, which is not followed"
    if 200 < response.status < 300:
        return "the status is not 200"
    if response.status == 200:
        if response.oversized:
            return f"the body is longer than {TOKEN_RESPONSE_LIMIT:,} bytes"
        # RFC 6749 section 5.1.  A captive portal or a proxy answers 200 with HTML.
        media_type = read_header(response, "content-type") or ""
        # Most servers write it just so.
        if media_type == "application/json":
            return None
        media_type = media_type.partition(";")[0]
        if media_type.strip().lower() != "application/json":
            return f"the media type is {_describe_media_type(media_type)}"
    return None


def _read_success(
    response: Response,
    value: object,
    rule: str | None,
    request_info: TokenRequestInfo,
    clock: Clock,
) -> TokenExchangeResponse | CustomTokenExchangeError:
    if rule is not None:
        return _build_invalid_response(
            response,
            COMPRESSED if is_compressed(response) else f"the body is not JSON: {rule}",
            request_info,
        )
    if not isinstance(value, dict):
        return _build_invalid_response(
            response, "the body is not a JSON object", request_info
        )
    # Some servers send an error with status 200, as GitHub's token endpoint does.
    if "error" in value and "access_token" not in value:
        return _build_refusal(response, value, request_info, clock)
    # An empty text says as much as a missing one: a server that fills in what it does not have
    # must not cost the tokens that it issued.
    if "" in value.values():
        value = {k: v for k, v in value.items() if v != "" or k not in _OPTIONAL_TEXTS}
    rule = _check_members(value)
    if rule is not None:
        return _build_invalid_response(response, rule, request_info)
    lifetime = value.get("expires_in")
    expires_in = None if lifetime is None else int(lifetime)
    return TokenExchangeResponse(
        access_token=value["access_token"],
        token_type=value.get("token_type") or NOT_APPLICABLE,
        expires_in=expires_in,
        # RFC 6749 section 5.1: scope is OPTIONAL if identical to the one requested.
        scope=value["scope"] if value.get("scope") is not None else request_info.scope,
        issued_token_type=value.get("issued_token_type"),
        id_token=value.get("id_token"),
        refresh_token=value.get("refresh_token"),
        expires_at=None if expires_in is None else int(clock()) + expires_in,
    )


def _check_members(value: Mapping[str, Any]) -> str | None:
    """Return the first rule that a member of a token response breaks, or ``None``."""
    if not _is_token(value.get("access_token")):
        return "access_token is missing or is not a token"
    rule = _check_token_type(value) or _check_lifetime(value.get("expires_in"))
    if rule is not None:
        return rule
    for name in ("id_token", "refresh_token"):
        if value.get(name) is not None and not _is_token(value[name]):
            return f"{name} is not a token"
    for name in ("scope", "issued_token_type"):
        text = value.get(name)
        if text is not None and not (isinstance(text, str) and _is_visible(text)):
            return f"{name} is not text"
    return None


def _check_token_type(value: Mapping[str, Any]) -> str | None:
    token_type = value.get("token_type")
    # Most servers write it just so.
    if token_type == "Bearer":
        return None
    # RFC 8693 section 2.2.1: N_A says that the token is not an access token.  Auth0 has
    # been seen to leave token_type out then.
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
    # RFC 6749 section 7.1: a client MUST NOT use a token type it does not understand.  A
    # DPoP token used as a bearer token would fail at the API, far from the cause.
    return "token_type is not Bearer"


def _check_lifetime(lifetime: object) -> str | None:
    if lifetime is None:
        return None
    # Some servers quote the number.  Only ASCII digits count: int() takes every script's,
    # and spaces and underscores.
    if isinstance(lifetime, str) and lifetime.isascii() and lifetime.isdigit():
        lifetime = int(lifetime) if len(lifetime) <= 10 else 0
    # Others compute it, and write 3600.0; to JSON that is the same number as 3600.
    if isinstance(lifetime, float) and lifetime.is_integer():
        lifetime = int(lifetime)
    if type(lifetime) is not int or not 0 < lifetime <= _LONGEST_LIFETIME:
        return "expires_in is not a positive number of seconds"
    return None


def _is_token(value: object) -> bool:
    # RFC 6749 appendix A.12: access-token = 1*VSCHAR.  Nothing else is let into a header,
    # where a line break would start another one.
    return (
        isinstance(value, str)
        and value.isascii()
        and value != ""
        # Three times as fast as a pattern, for a token of a thousand characters; as plain
        # bytes, whose methods wrap nothing, and which no variable holds.
        and not bytes(value, "ascii").translate(None, _VISIBLE)
    )


def _is_visible(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _read_refusal(
    response: Response, request_info: TokenRequestInfo, clock: Clock
) -> CustomTokenExchangeError:
    value, rule = _read_refusal_body(response)
    if rule is None:
        return _build_refusal(response, value, request_info, clock)
    if response.status >= 500:
        # A gateway may answer 502 or 504 after the tenant has issued the tokens.
        return AmbiguousError(
            "the server failed; whether it issued tokens is unknown",
            Code.TOKEN_EXCHANGE_FAILED,
            response.status,
            request_info.reusable,
            read_wait(response, clock()),
            "reply",
            correlation_id=_read_correlation_id(response, request_info),
        )
    error = _build_refusal(response, {}, request_info, clock)
    return error.evolve(message=f"{error.message}: {rule}")


def _read_refusal_body(response: Response) -> tuple[dict[str, Any], str | None]:
    """Return the members of a refusal, or none of them and the rule that its body breaks."""
    if response.oversized:
        return {}, f"the body is longer than {TOKEN_RESPONSE_LIMIT:,} bytes"
    value, rule = read_json(response.body)
    if isinstance(value, dict):
        return value, None
    if rule is not None and is_compressed(response):
        return {}, COMPRESSED
    return {}, "the body is not a JSON object"


def _build_refusal(
    response: Response,
    value: Mapping[str, Any],
    request_info: TokenRequestInfo,
    clock: Clock,
) -> CustomTokenExchangeError:
    """Build the error for a refusal (RFC 6749 section 5.2, and Auth0's variations)."""
    # A token that the response itself brings, such as mfa_token, is a secret too.
    secrets = [*request_info.secrets, *_list_tokens(value)]
    request_info = attrs.evolve(request_info, secrets=secrets)
    code = _read_code(value, request_info)
    description = _clean_text(
        value.get("error_description", value.get("message")), request_info.secrets
    )
    kind, safe = _classify_refusal(response.status, code, description, request_info)
    error = kind(
        description or "the server gave no reason",
        code or None,
        response.status,
        safe,
        read_wait(response, clock()),
        "reply",
        False,
        _read_correlation_id(response, request_info),
        find_hint(
            code,
            description,
            response.status,
            request_info.subject_token_type,
            on_behalf_of=request_info.on_behalf_of,
        ),
    )
    if isinstance(error, MfaRequiredError):
        token, requirements = value.get("mfa_token"), value.get("mfa_requirements")
        error.with_mfa(
            token if isinstance(token, str) else None,
            requirements if isinstance(requirements, dict) else None,
        )
    return error


def _classify_refusal(
    status: int, code: str, description: str, request_info: TokenRequestInfo
) -> tuple[type[RefusedError], bool]:
    """Return the class of the error, and whether sending again is safe."""
    # Auth0's throttling of an IP with bad tokens comes as a 429 as well, but another bad
    # token only prolongs it.
    if code == "too_many_attempts":
        return BlockedError, False
    if status == 429:
        return RateLimitError, True
    if status >= 500:
        # Auth0 has sent its global limit as a 500 with the code access_denied.
        limited = _GLOBAL_LIMIT in description.lower()
        return RateLimitError if limited else RefusedError, request_info.reusable
    if code == "mfa_required":
        return MfaRequiredError, False
    # RFC 9110 section 15.5.9 and RFC 8470 section 5.2: the request was not acted on.
    return RefusedError, status in (408, 425)


def _read_code(value: Mapping[str, Any], request_info: TokenRequestInfo) -> str:
    """Return the server's own code verbatim, or "" if there is none that can be shown."""
    # The Management API has its code in errorCode, and prose in error.
    for name in ("errorCode", "error"):
        code = value.get(name)
        if isinstance(code, str) and re.compile(_ERROR_CODE).fullmatch(code):
            return "" if _redact(code, request_info.secrets) != code else code
    return ""


def _clean_text(text: object, secrets: Collection[str]) -> str:
    """Return a server's text without secrets and unprintable characters, cut short."""
    if not isinstance(text, str):
        return ""
    # Scrub before cutting: the cut could leave the first half of a secret.
    text = _redact(text, secrets)
    # Control characters could forge log lines, and bidi marks reverse a text.
    text = "".join(
        char if char.isprintable() else " " for char in text[: 4 * _LONGEST_TEXT]
    )
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def _list_tokens(value: Mapping[str, Any]) -> list[str]:
    return [
        token
        for name, token in value.items()
        if name.endswith("_token") and isinstance(token, str)
    ]


def _redact(text: str, secrets: Collection[str]) -> str:
    # The longest first: one secret may be the beginning of another.
    for value in sorted(secrets, key=len, reverse=True):
        # A shorter one may be an ordinary word of the description.
        if len(value) >= 6:
            # Servers echo a form's values decoded or as they were encoded.
            for form in {str(value), quote(value), quote_plus(value)}:
                text = text.replace(form, REDACTED)
    return re.compile(_JOSE).sub(REDACTED, text)


def _read_correlation_id(
    response: Response, request_info: TokenRequestInfo
) -> str | None:
    for name in _CORRELATION_HEADERS:
        value = read_header(response, name)
        if value:
            return _clean_text(value, request_info.secrets)[:128]
    return None


def _describe_media_type(media_type: str) -> str:
    """Describe a wrong media type, quoting only well-known ones."""
    media_type = media_type.strip().lower()
    known = ("text/html", "text/plain", "application/problem+json", "application/xml")
    if media_type in known:
        return f"{media_type}, not application/json"
    return "not application/json" if media_type else "missing"


def _build_invalid_response(
    response: Response, rule: str, request_info: TokenRequestInfo
) -> InvalidResponseError:
    error = InvalidResponseError(
        rule,
        status=response.status,
        # A redirect or a refusal did nothing, and would do the same again.  A broken 200
        # spent the subject token.
        retry_safe=response.status == 200 and request_info.reusable,
        tokens_issued=200 <= response.status < 300,
        correlation_id=_read_correlation_id(response, request_info),
    )
    return error.with_refresh_token(_find_refresh_token(response))


def _find_refresh_token(response: Response) -> str | None:
    """Return the refresh token of a response that is broken otherwise, or ``None``.

    RFC 6749 section 6: the one before may be revoked by now, so a client that loses this one
    loses the login.
    """
    if not 200 <= response.status < 300 or response.oversized:
        return None
    value, _ = read_json(response.body)
    token = value.get("refresh_token") if isinstance(value, dict) else None
    return token if _is_token(token) else None
