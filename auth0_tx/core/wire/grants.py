"""Grant requests: options in, form parameters out, or a refusal that names the rule.

Nothing here reads a clock, a key or the network, and no refusal quotes a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar
from urllib.parse import quote_plus

import attrs

from ...errors import CustomTokenExchangeErrorCode as Code
from ...secret import SecretBytes, SecretStr
from ...token_types import TokenType
from ...values import CustomTokenExchangeOptions
from ..effects import Request
from .client_auth import ClientAuthentication, Clock, NewId
from .problems import LONGEST_TEXT, Problem, check_text

Options = TypeVar("Options", bound=CustomTokenExchangeOptions)

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
LONGEST_TOKEN = 65_536

_GRANT = quote_plus(TOKEN_EXCHANGE)
_ACCESS_TOKEN = quote_plus(TokenType.ACCESS_TOKEN)
# What is asked for again and again is checked and encoded once.  No token is kept so.
_KEPT = 256
_encoded = lru_cache(maxsize=_KEPT)(quote_plus)
_check_text_cached = lru_cache(maxsize=_KEPT)(check_text)
# With the longest of values they still fit into what servers and HTTP libraries take.
_MOST_PARAMETERS = 100
_OPTIONAL = ("actor_token_type", "audience", "scope", "organization")

# What the library itself puts in the form, or what changes what the grant means.
_RESERVED = frozenset(
    {
        "grant_type",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "subject_token",
        "subject_token_type",
        "actor_token",
        "actor_token_type",
        "requested_token_type",
        "audience",
        "scope",
        "organization",
        "resource",
    }
)
# A name outside this grammar could be folded by a lenient server into a reserved one.
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9_.~-]{1,128}").fullmatch
# RFC 6749 section 3.3: scope = scope-token *( SP scope-token )
_SCOPE = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*").fullmatch
# RFC 3986 section 2.3: what needs no encoding, as no JWT and few opaque tokens do.
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*").fullmatch
_TYPE_URI = re.compile(
    r"(?:urn:[a-z0-9][a-z0-9-]{1,31}:|https?://)[!-~]+", re.I
).fullmatch
_SCHEME = re.compile(r"bearer(?:\s|$)|(?:token|basic|dpop)\s", re.I).match
# Auth0 keeps these namespaces for itself.  The registered types of RFC 8693 section 3 may
# be sent all the same: tenants answer them with other flows, or with a refusal.
_RESERVED_TYPE = re.compile(
    r"urn:(?:auth0|okta):|urn:ietf:(?!params:oauth:token-type:)"
    r"|https?://(?:auth0|okta)\.com(?:[/:?#]|$)",
    re.I,
).match


def token_exchange(options: CustomTokenExchangeOptions) -> str:
    """Check options, and encode them as form parameters.

    Raises:
        InvalidInputError: an option breaks a rule.
    """
    check_exchange(options)
    return exchange_form(options)


def check_exchange(options: CustomTokenExchangeOptions) -> None:
    """Refuse options that break a rule.

    Raises:
        InvalidInputError: they do.
    """
    problem = _problem(options)
    if problem is not None:
        raise problem.error()


def exchange_form(options: CustomTokenExchangeOptions) -> str:
    """Encode checked options as form parameters, without the client's own.

    RFC 8693 section 2.1.
    """
    # RFC 8693 2.1 has requested_token_type too: Auth0 refuses it here, even when empty.
    form = (
        f"grant_type={_GRANT}&subject_token={_encoded_once(options.subject_token)}"
        f"&subject_token_type={_encoded(options.subject_token_type)}"
    )
    if options.actor_token is not None:
        form += f"&actor_token={_encoded_once(options.actor_token)}"
    for name in _OPTIONAL:
        value = getattr(options, name)
        if value is not None:
            form += f"&{name}={_encoded(value)}"
    if options.authorization_params:
        for name, value in options.authorization_params.items():
            form += f"&{name}={_encoded_once(value)}"
    return SecretStr(form)


def _encoded_once(text: str) -> str:
    return text if _UNRESERVED(text) else quote_plus(text)


def _problem(options: object) -> Problem | None:
    """Give the first rule that *options* break, or ``None``."""
    if not isinstance(options, CustomTokenExchangeOptions):
        return Problem("options", "must be CustomTokenExchangeOptions")
    return (
        _token("subject_token", options.subject_token)
        or _token_type("subject_token_type", options.subject_token_type)
        or _actor(options)
        or _optional("audience", options.audience)
        or _scope(options.scope)
        or _optional("organization", options.organization)
        or _extension(options.authorization_params)
        or _flag("subject_token_reusable", options.subject_token_reusable)
    )


def _token(parameter: str, token: object) -> Problem | None:
    rule = check_text(token, LONGEST_TOKEN)
    if rule is None and _SCHEME(str(token)):
        rule = "must be the bare token, without a scheme such as 'Bearer '"
    return Problem(parameter, rule, Code.INVALID_TOKEN_FORMAT) if rule else None


def _token_type(parameter: str, uri: object) -> Problem | None:
    rule = _type_rule(uri) if isinstance(uri, str) else check_text(uri)
    return Problem(parameter, rule) if rule else None


@lru_cache(maxsize=_KEPT)
def _type_rule(uri: str) -> str | None:
    rule = check_text(uri)
    if rule is None and not _TYPE_URI(uri):
        # RFC 8693 section 3: token type identifiers are URIs.
        rule = "must be a URI that starts with urn:, https:// or http://"
    if rule is None and _RESERVED_TYPE(uri):
        rule = "must not be in a namespace that Auth0 reserves; use one of your own"
    return rule


def _actor(options: CustomTokenExchangeOptions) -> Problem | None:
    token, token_type = options.actor_token, options.actor_token_type
    if token is None and token_type is None:
        return None
    # RFC 8693 section 2.1: actor_token_type is required with actor_token, and forbidden
    # without it.
    if token_type is None:
        return Problem(
            "actor_token_type",
            "must be given with actor_token",
            Code.MISSING_ACTOR_TOKEN_TYPE,
        )
    if token is None:
        return Problem(
            "actor_token",
            "must be given with actor_token_type",
            Code.MISSING_ACTOR_TOKEN,
        )
    return _token("actor_token", token) or _token_type("actor_token_type", token_type)


def _optional(parameter: str, value: object) -> Problem | None:
    if value is None:
        return None
    rule = _check_text_cached(value) if isinstance(value, str) else check_text(value)
    return Problem(parameter, rule) if rule else None


def _required(parameter: str, value: object) -> Problem | None:
    rule = check_text(value)
    return Problem(parameter, rule) if rule else None


def _scope(scope: object) -> Problem | None:
    if scope is None:
        return None
    rule = _scope_rule(scope) if isinstance(scope, str) else check_text(scope)
    return Problem("scope", rule) if rule else None


@lru_cache(maxsize=_KEPT)
def _scope_rule(scope: str) -> str | None:
    rule = check_text(scope)
    if rule is None and not _SCOPE(scope):
        rule = "must be scope tokens with one space between them"
    return rule


def _extension(parameters: object) -> Problem | None:
    if parameters is None:
        return None
    if not isinstance(parameters, Mapping):
        return Problem(
            "authorization_params", "must be a mapping of strings to strings"
        )
    if len(parameters) > _MOST_PARAMETERS:
        return Problem(
            "authorization_params",
            f"must not have more than {_MOST_PARAMETERS} parameters",
        )
    seen: set[str] = set()
    for name, value in parameters.items():
        problem = _extension_parameter(name, value, seen)
        if problem is not None:
            return problem
    return None


def _extension_parameter(name: object, value: object, seen: set[str]) -> Problem | None:
    if not isinstance(name, str) or not _PARAMETER_NAME(name):
        return Problem(
            "authorization_params",
            "must have names of ASCII letters, digits and _ . ~ - only",
        )
    folded = name.lower()
    if folded in _RESERVED:
        return Problem(
            f"authorization_params[{folded!r}]",
            "is set by the library and must not be overridden",
            Code.RESERVED_PARAMETER,
        )
    # RFC 6749 section 3.2: parameters must not be included more than once.
    if folded in seen:
        return Problem(f"authorization_params[{folded!r}]", "must not be given twice")
    seen.add(folded)
    if not isinstance(value, str):
        return Problem(f"authorization_params[{name!r}]", "must be a string")
    if len(value) > LONGEST_TEXT:
        return Problem(
            f"authorization_params[{name!r}]",
            f"must not be longer than {LONGEST_TEXT} characters",
        )
    if not value.isprintable():
        return Problem(
            f"authorization_params[{name!r}]", "must have printable characters only"
        )
    return None


def _flag(parameter: str, value: object) -> Problem | None:
    return None if isinstance(value, bool) else Problem(parameter, "must be a bool")


def with_openid(options: Options) -> Options:
    """Add ``openid`` to the scope where it is missing: without it no ID token comes."""
    scope: object = getattr(options, "scope", "")
    if scope is None:
        return attrs.evolve(options, scope="openid")
    # What is no scope, or no options at all, is refused with all else that breaks a rule.
    if not scope or not isinstance(scope, str) or "openid" in scope.split():
        return options
    return attrs.evolve(options, scope=f"openid {scope}")


def check_on_behalf_of(access_token: object, audience: object, scope: object) -> None:
    """Refuse what an on-behalf-of exchange is asked for with where it breaks a rule.

    Raises:
        InvalidInputError: it does.
    """
    problem = (
        _token("access_token", access_token)
        # Auth0 requires it here: the token is for another API than the one it came with.
        or _required("audience", audience)
        or _scope(scope)
    )
    if problem is not None:
        raise problem.error()


def on_behalf_of_form(access_token: str, audience: str, scope: str | None) -> str:
    """Encode an on-behalf-of exchange (RFC 8693 section 2.1) as form parameters.

    Here Auth0 requires the requested_token_type that it refuses with a token of one's own.
    """
    form = (
        f"grant_type={_GRANT}&subject_token={_encoded_once(access_token)}"
        f"&subject_token_type={_ACCESS_TOKEN}&requested_token_type={_ACCESS_TOKEN}"
        f"&audience={_encoded(audience)}"
    )
    return SecretStr(form if scope is None else f"{form}&scope={_encoded(scope)}")


def check_access_token_options(audience: object, scope: object) -> None:
    """Refuse what an access token is asked for with where it breaks a rule.

    Raises:
        InvalidInputError: it does.
    """
    problem = _optional("audience", audience) or _scope(scope)
    if problem is not None:
        raise problem.error()


def refresh_form(refresh_token: str, audience: str | None, scope: str | None) -> str:
    """Encode a refresh as form parameters (RFC 6749 section 6; Auth0's *audience*)."""
    form = f"grant_type=refresh_token&refresh_token={_encoded_once(refresh_token)}"
    for name, value in (("audience", audience), ("scope", scope)):
        if value is not None:
            form += f"&{name}={_encoded(value)}"
    return SecretStr(form)


def revocation_form(token: str) -> str:
    """Encode a revocation as form parameters (RFC 7009 section 2.1)."""
    return SecretStr(f"token={_encoded_once(token)}&token_type_hint=refresh_token")


def grant_request(
    url: str,
    form: str,
    authentication: ClientAuthentication,
    issuer: str,
    clock: Clock,
    new_id: NewId,
) -> Request:
    """Build the request that carries a grant, the client authenticated anew.

    Args:
        url: the token endpoint.
        form: the grant's own parameters, encoded.
        authentication: how the client proves itself.
        issuer: the tenant's issuer, which an assertion is addressed to.
        clock: gives epoch seconds.
        new_id: gives an id that was never given before.
    """
    credentials = authentication.parameters(issuer, clock, new_id)
    body = f"{form}&{credentials}" if credentials else form
    return Request(
        "POST", url, authentication.headers, SecretBytes(body.encode("ascii"))
    )


def normalise_scope(scope: str | None) -> str | None:
    """Return a scope with its tokens sorted and each once.

    RFC 6749 section 3.3: the order does not matter, so equal sets share a cache entry.
    """
    if scope is None or " " not in scope:
        return scope
    return " ".join(sorted(set(scope.split(" "))))


def exchange_fields(options: CustomTokenExchangeOptions) -> tuple[str | None, ...]:
    """Give every option that shapes the answer, those without an order in one order.

    The number of extension parameters is told by their being last.
    """
    parameters = options.authorization_params or {}
    return (
        "exchange",
        options.subject_token,
        options.subject_token_type,
        options.actor_token,
        options.actor_token_type,
        options.audience,
        normalise_scope(options.scope),
        options.organization,
        *(text for name in sorted(parameters) for text in (name, parameters[name])),
    )
