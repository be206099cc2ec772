"""Grant requests: options in, form parameters out, or an error that names the rule.

A grant is checked, then encoded, then put into a request, by three functions of its own:

* ``check_...`` refuses options that break a rule, before a user waits for the network.
  The rules are those of RFC 8693 and RFC 6749, and Auth0's own.  A value that a server could
  read in two ways is refused, not cleaned: a token with a scheme in front of it, a parameter
  whose name a lenient server folds into a reserved one.
* ``..._form`` encodes checked options.  It is done once for a call, however many attempts
  are made, and a remembered refusal is found by the hash of the form.
* ``grant_request`` adds the client's credentials, anew for each attempt.

Nothing here reads a clock, a key or the network, and no error quotes a value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from string import ascii_letters, digits
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
_GRANT = quote_plus(TOKEN_EXCHANGE)
LONGEST_TOKEN = 65_536
"""Characters of a token; servers and proxies refuse much longer forms anyway."""

# An application uses the same few audiences, scopes and types in every call: with their
# checks and encodings cached, a form takes 18 instead of 41 microseconds.  Tokens are never
# cached, or they would stay in memory.
_CACHED = 256
_VISIBLE = bytes(range(0x21, 0x7F))
# Those that a form leaves as they are (RFC 3986 section 2.3).
_UNRESERVED = (ascii_letters + digits + "-._~").encode()
_check_text_cached = lru_cache(maxsize=_CACHED)(check_text)
# With the longest of values they still fit into a form that servers and HTTP libraries take.
_MAX_PARAMETERS = 100

# Parameters that the library itself sets, or that change the meaning of the grant.
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
# RFC 6749 section 8.2 has these characters, except "~".  A lenient server could
# fold others into a reserved name: " client_id", "client_id[]", full-width letters.
# The text of a pattern: few calls have such parameters, and no import pays for it.
_PARAMETER_NAME = r"[A-Za-z0-9_.~-]{1,128}"
# RFC 6749 section 3.3: scope = scope-token *( SP scope-token )
_is_scope = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*").fullmatch
# For ASCII, as the texts are by then: a pattern without case takes three times as long to
# compile for all scripts.
_is_type_uri = re.compile(
    r"(?:urn:[a-z0-9][a-z0-9-]{1,31}:|https?://)[!-~]+", re.I | re.A
).fullmatch
_has_scheme = re.compile(r"bearer(?:\s|$)|(?:token|basic|dpop)\s", re.I | re.A).match
# Auth0 keeps these namespaces for itself.  The registered types of RFC 8693 section 3 are
# let through: some tenants have flows for them, and the others refuse them with a hint.
_is_reserved_type = re.compile(
    r"urn:(?:auth0|okta):|urn:ietf:(?!params:oauth:token-type:)"
    r"|https?://(?:auth0|okta)\.com(?:[/:?#]|$)",
    re.I,
).match


def check_exchange(options: CustomTokenExchangeOptions) -> None:
    """Refuse options that break a rule.

    Raises:
        InvalidInputError: an option breaks a rule.
    """
    problem = _check_options(options)
    if problem is not None:
        raise problem.error()


def exchange_form(options: CustomTokenExchangeOptions) -> str:
    """Encode checked options as form parameters (RFC 8693 section 2.1).

    The client's own parameters are added for each attempt, by :func:`grant_request`.
    """
    # In their order, as the cache compares the names of keywords as well.
    public = _encode_public(
        options.subject_token_type,
        options.actor_token_type,
        # RFC 8693 2.1 has requested_token_type too: Auth0 refuses it here, even when empty.
        None,
        options.audience,
        options.scope,
        options.organization,
    )
    # Here and below, what holds a token never is in a local that prints: an exception out of
    # a signal handler may strike at any line.
    form = SecretStr(
        f"grant_type={_GRANT}&subject_token={_encode_token(options.subject_token)}{public}"
    )
    if options.actor_token is not None:
        form = SecretStr(f"{form}&actor_token={_encode_token(options.actor_token)}")
    if options.authorization_params:
        for name, value in options.authorization_params.items():
            form = SecretStr(f"{form}&{name}={quote_plus(value)}")
    return form


@lru_cache(maxsize=_CACHED)
def _encode_public(
    subject_token_type: str | None = None,
    actor_token_type: str | None = None,
    requested_token_type: str | None = None,
    audience: str | None = None,
    scope: str | None = None,
    organization: str | None = None,
) -> str:
    """Encode the parameters of a form that are public, without those that are ``None``."""
    parameters = {
        "subject_token_type": subject_token_type,
        "actor_token_type": actor_token_type,
        "requested_token_type": requested_token_type,
        "audience": audience,
        "scope": scope,
        "organization": organization,
    }
    return "".join(
        f"&{name}={quote_plus(value)}"
        for name, value in parameters.items()
        if value is not None
    )


def _encode_token(token: str) -> str:
    """Encode a token for a form."""
    # Nearly every token is its own encoding, which takes a fifth of the time to see.
    if token.isascii() and not bytes(token, "ascii").translate(None, _UNRESERVED):
        return token
    return quote_plus(token)


def _check_options(options: object) -> Problem | None:
    """Return the first rule that *options* break, or ``None``."""
    if not isinstance(options, CustomTokenExchangeOptions):
        return Problem("options", "must be CustomTokenExchangeOptions")
    return (
        _check_token("subject_token", options.subject_token)
        or _check_public_texts(
            options.subject_token_type,
            options.audience,
            options.scope,
            options.organization,
        )
        or _check_actor(options)
        or _check_extension(options.authorization_params)
        or _check_flag("subject_token_reusable", options.subject_token_reusable)
    )


def _check_public_texts(*texts: object) -> Problem | None:
    """Return the first rule that the public texts of an exchange break, or ``None``.

    They are its subject token's type, its audience, its scope and its organization.
    """
    try:
        return _check_public_texts_cached(*texts)
    except TypeError:
        # A list or a dictionary, of which no key of a cache can be made.
        return _find_public_problem(*texts)


def _find_public_problem(
    subject_token_type: object, audience: object, scope: object, organization: object
) -> Problem | None:
    return (
        _check_token_type("subject_token_type", subject_token_type)
        or _check_optional("audience", audience)
        or _check_scope(scope)
        or _check_optional("organization", organization)
    )


# With their types: 1 and True are equal, and neither is text.
_check_public_texts_cached = lru_cache(maxsize=_CACHED, typed=True)(
    _find_public_problem
)


def _check_token(parameter: str, token: object) -> Problem | None:
    # Nearly every token is visible ASCII alone, which one call of ``translate`` shows in a
    # fifth of the time of the whole check.
    if (
        isinstance(token, str)
        and 0 < len(token) <= LONGEST_TOKEN
        and token.isascii()
        and not bytes(token, "ascii").translate(None, _VISIBLE)
        and not _has_scheme(token)
    ):
        return None
    rule = check_text(token, LONGEST_TOKEN)
    # A header parser that forgot to cut the scheme off.  Sent as it is, the token would
    # only be refused, and count towards Auth0's throttling of the source IP.
    if rule is None and _has_scheme(str(token)):
        rule = "must be the bare token, without a scheme such as 'Bearer '"
    return Problem(parameter, rule, Code.INVALID_TOKEN_FORMAT) if rule else None


def _check_token_type(parameter: str, uri: object) -> Problem | None:
    rule = _check_type_uri(uri) if isinstance(uri, str) else check_text(uri)
    return Problem(parameter, rule) if rule else None


@lru_cache(maxsize=_CACHED)
def _check_type_uri(uri: str) -> str | None:
    rule = check_text(uri)
    if rule is None and not _is_type_uri(uri):
        # RFC 8693 section 3: token type identifiers are URIs.
        rule = "must be a URI that starts with urn:, https:// or http://"
    if rule is None and _is_reserved_type(uri):
        rule = "must not be in a namespace that Auth0 reserves; use one of your own"
    return rule


def _check_actor(options: CustomTokenExchangeOptions) -> Problem | None:
    token, token_type = options.actor_token, options.actor_token_type
    if token is None and token_type is None:
        return None
    # RFC 8693 section 2.1: actor_token_type is REQUIRED with actor_token, and MUST NOT be
    # included without it.
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
    return _check_token("actor_token", token) or _check_token_type(
        "actor_token_type", token_type
    )


def _check_optional(parameter: str, value: object) -> Problem | None:
    if value is None:
        return None
    rule = _check_text_cached(value) if isinstance(value, str) else check_text(value)
    return Problem(parameter, rule) if rule else None


def _check_required(parameter: str, value: object) -> Problem | None:
    rule = check_text(value)
    return Problem(parameter, rule) if rule else None


def _check_scope(scope: object) -> Problem | None:
    if scope is None:
        return None
    rule = _check_scope_text(scope) if isinstance(scope, str) else check_text(scope)
    return Problem("scope", rule) if rule else None


@lru_cache(maxsize=_CACHED)
def _check_scope_text(scope: str) -> str | None:
    rule = check_text(scope)
    if rule is None and not _is_scope(scope):
        rule = "must be scopes separated by single spaces"
    return rule


def _check_extension(parameters: object) -> Problem | None:
    if parameters is None:
        return None
    if not isinstance(parameters, Mapping):
        return Problem(
            "authorization_params", "must be a mapping of strings to strings"
        )
    if len(parameters) > _MAX_PARAMETERS:
        return Problem(
            "authorization_params",
            f"must not have more than {_MAX_PARAMETERS} parameters",
        )
    folded_names: set[str] = set()
    for name, value in parameters.items():
        problem = _check_extension_parameter(name, value, folded_names)
        if problem is not None:
            return problem
        folded_names.add(name.lower())
    return None


def _check_extension_parameter(
    name: object, value: object, folded_names: Collection[str]
) -> Problem | None:
    if not isinstance(name, str) or not re.compile(_PARAMETER_NAME).fullmatch(name):
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
    # RFC 6749 section 3.2: parameters MUST NOT be included more than once, and some servers
    # compare their names without case.
    if folded in folded_names:
        return Problem(f"authorization_params[{folded!r}]", "must not be given twice")
    # Nothing is converted: no Action expects str(["a"]) or str(None).
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


def _check_flag(parameter: str, value: object) -> Problem | None:
    return None if isinstance(value, bool) else Problem(parameter, "must be a bool")


def with_openid(options: Options) -> Options:
    """Add ``openid`` to the scope if it is missing: without it there is no ID token."""
    scope: object = getattr(options, "scope", "")
    if scope is None:
        return attrs.evolve(options, scope="openid")
    # A malformed scope stays as it is, and is refused with the other broken rules.
    if not scope or not isinstance(scope, str) or "openid" in scope.split():
        return options
    return attrs.evolve(options, scope=f"openid {scope}")


def check_on_behalf_of(access_token: object, audience: object, scope: object) -> None:
    """Refuse arguments of an on-behalf-of exchange that break a rule.

    Raises:
        InvalidInputError: an argument breaks a rule.
    """
    problem = (
        _check_token("access_token", access_token)
        # Auth0 requires it here: the new token is for another API than the old one.
        or _check_required("audience", audience)
        or _check_scope(scope)
    )
    if problem is not None:
        raise problem.error()


def on_behalf_of_form(access_token: str, audience: str, scope: str | None) -> str:
    """Encode an on-behalf-of exchange (RFC 8693 section 2.1) as form parameters.

    Here Auth0 requires the requested_token_type that it refuses for custom tokens.
    """
    public = _encode_public(
        subject_token_type=TokenType.ACCESS_TOKEN.value,
        requested_token_type=TokenType.ACCESS_TOKEN.value,
        audience=audience,
        scope=scope,
    )
    return SecretStr(
        f"grant_type={_GRANT}&subject_token={_encode_token(access_token)}{public}"
    )


def check_access_token_options(audience: object, scope: object) -> None:
    """Refuse arguments of a request for an access token that break a rule.

    Raises:
        InvalidInputError: an argument breaks a rule.
    """
    problem = _check_optional("audience", audience) or _check_scope(scope)
    if problem is not None:
        raise problem.error()


def check_refresh_token(refresh_token: object) -> None:
    """Refuse a refresh token that cannot be one.

    Raises:
        InvalidInputError: it breaks a rule.
    """
    problem = _check_token("refresh_token", refresh_token)
    if problem is not None:
        raise problem.error()


def refresh_form(refresh_token: str, audience: str | None, scope: str | None) -> str:
    """Encode a refresh as form parameters (RFC 6749 section 6; Auth0's *audience*)."""
    public = _encode_public(audience=audience, scope=scope)
    return SecretStr(
        f"grant_type=refresh_token&refresh_token={_encode_token(refresh_token)}{public}"
    )


def revocation_form(token: str) -> str:
    """Encode a revocation as form parameters (RFC 7009 section 2.1)."""
    return SecretStr(f"token={_encode_token(token)}&token_type_hint=refresh_token")


def grant_request(
    url: str,
    form: str,
    authentication: ClientAuthentication,
    issuer: str,
    clock: Clock,
    new_id: NewId,
    latest: float = math.inf,
) -> Request:
    """Build the request that carries a grant, the client authenticated anew.

    Args:
        url: the token endpoint.
        form: the grant's own parameters, encoded.
        authentication: how the client authenticates.
        issuer: the tenant's issuer, which is the audience of an assertion.
        clock: returns epoch seconds.
        new_id: returns an id that it never returned before.
        latest: when it must have begun to leave, on the context's monotonic clock.
    """
    credentials = authentication.form
    if credentials is None:
        credentials = authentication.encode_parameters(issuer, clock, new_id)
    # Joined, as a template would ask each secret for its text by a method.
    body = SecretBytes("&".join((form, credentials)) if credentials else form, "ascii")
    return Request("POST", url, authentication.headers, body, latest)


def normalise_scope(scope: str | None) -> str | None:
    """Return a scope with its tokens sorted and each once.

    RFC 6749 section 3.3: the order does not matter, so equal sets share a cache entry.
    """
    if scope is None or " " not in scope:
        return scope
    return " ".join(sorted(set(scope.split(" "))))


def exchange_fields(options: CustomTokenExchangeOptions) -> tuple[str | None, ...]:
    """Return every option that shapes the response, in a fixed order.

    The result is unambiguous: the extension parameters are last, so their number is known
    from its length.  Two calls with equal fields may share a cached response.
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
