"""A client's keywords: checked once, at construction, and kept as one value."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

from ..errors import InvalidInputError
from ..secret import Unpicklable
from ..secret import secret as secret_text
from ..values import CachePolicy, RetryPolicy, SessionPolicy
from .wire.client_auth import (
    METHODS,
    SIGNING_ALGORITHMS,
    ClientAuthentication,
    ClientAuthMethod,
    build_client_authentication,
)
from .wire.domains import normalise_domain
from .wire.grants import LONGEST_TOKEN
from .wire.problems import Problem, check_text
from .wire.proxies import check_proxy

if TYPE_CHECKING:
    import os
    import ssl

    from ..events import Event
    from .cache.token_cache import AsyncTokenCache, MemoryTokenCache, TokenCache
    from .session.cookies import CookieStore
    from .session.store import AsyncStateStore, StateStore

StoreOptions: TypeAlias = Mapping[str, Any]
"""The application's request and response, handed through to its domain resolver."""

DomainResolver: TypeAlias = Callable[[StoreOptions | None], str | Awaitable[str]]

Verify: TypeAlias = "bool | str | os.PathLike[str] | ssl.SSLContext"
"""``True`` for the public CAs, the path of a bundle, or an ``SSLContext``."""

AuditIdentifiers: TypeAlias = Literal["hashed", "clear"]
"""How audit events name users and sessions."""

Discovery: TypeAlias = Literal["first", "deferred"]
"""When the tenant's metadata is fetched: before the first grant, or beside it."""

SECRETS = (
    "client_secret",
    "client_assertion_signing_key",
    "secret",
    "legacy_secret",
    "proxy",
)
"""The keywords whose values must not show in a traceback."""

SHORTEST_SECRET = 32
"""Characters of the newest secret: as many as an AES-256 key has bytes.  Whoever has one
sealed cookie can try secrets against it offline, and finds a word or a short one in minutes."""

_MAKE_SECRET = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'

_MOST_SECONDS = 10**8
_CO_COROUTINE = 0x80

_STORE_METHODS = (
    "get",
    "set",
    "delete",
    "add_to_index",
    "read_index",
    "remove_from_index",
)
_CACHE_METHODS = ("get", "set", "lock", "unlock")

# RFC 6265 section 4.1.1: a name is a token; the browser adds our prefixes to it.  Texts of
# patterns, compiled by their first use and not by the import.
_COOKIE_RULES = {
    "cookie_name": r"[A-Za-z0-9_-]{1,64}",
    "cookie_domain": r"\.?[a-z0-9-]+(?:\.[a-z0-9-]+)+",
    "cookie_path": r"/[A-Za-z0-9/._~-]*",
}

_NUMBERS = ("transient_delay", "throttled_delay", "longest_delay", "blocked_seconds")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Settings(Unpicklable):
    """The checked configuration of a client.

    Attributes:
        domain: the normalised domain, or ``None`` where *resolver* gives it.
        resolver: the application's function from its store options to a domain.
        client_id: the application's id.
        client_auth: by what method the client proves itself.
        authentication: how it does.
        own_secrets: the client's own, which an answer may echo and an error must not.
        discovery: whether metadata is fetched before the first grant, or beside it.
        timeout: seconds for one call, everything included.
        retry: when a failed request is sent again.
        max_connections: the most requests on the wire at once.
        on_event: the application's subscriber.
        audit_identifiers: whether events have users and sessions as pseudonyms or in clear.
        pseudonym_key: the key of those pseudonyms; empty if nothing makes one, or needs one.
        secrets: of the login session, newest first.
        state_store: where sessions are kept; ``None`` where none are.
        session_policy: how long they last, and what their cookies are like.
        session_cookie: the full name of their cookie; empty where none are kept.
        legacy_secret: opens the session cookies of Auth0's own SDK.
        token_cache: where exchanged tokens are cached; ``None`` where none are.
        cache_policy: how long they are.
        cache_hash_key: what the keys of cached tokens are hashed with.
        verify: whom to trust for TLS; the shells know what it may be.
        proxy: the URL of the proxy to go through.
        trust_env: whether the environment names proxies and CA bundles.
        clock: gives epoch seconds, where the application has a clock of its own.
    """

    domain: str | None
    resolver: DomainResolver | None
    client_id: str
    client_auth: ClientAuthMethod
    authentication: ClientAuthentication = attrs.field(repr=False)
    own_secrets: tuple[str, ...] = attrs.field(repr=False)
    discovery: Discovery
    timeout: float
    retry: RetryPolicy
    max_connections: int
    on_event: Callable[[Event], object] | None
    audit_identifiers: AuditIdentifiers
    pseudonym_key: bytes = attrs.field(repr=False)
    secrets: tuple[str, ...] = attrs.field(repr=False)
    state_store: StateStore | AsyncStateStore | CookieStore | None
    session_policy: SessionPolicy
    session_cookie: str
    legacy_secret: str | None = attrs.field(repr=False, converter=secret_text)
    token_cache: TokenCache | AsyncTokenCache | MemoryTokenCache | None
    cache_policy: CachePolicy
    cache_hash_key: bytes = attrs.field(repr=False)
    verify: Verify
    proxy: str | None = attrs.field(repr=False, converter=secret_text)
    trust_env: bool
    clock: Callable[[], float] | None


def configure(
    *,
    domain: str | Callable[[StoreOptions | None], str | Awaitable[str]],
    client_id: str,
    client_secret: str | None = None,
    client_assertion_signing_key: str | bytes | Mapping[str, Any] | None = None,
    client_assertion_signing_alg: str = "RS256",
    client_auth: ClientAuthMethod | None = None,
    secret: str | Sequence[str] | None = None,
    state_store: StateStore | AsyncStateStore | CookieStore | None = None,
    session_policy: SessionPolicy = SessionPolicy(),
    legacy_secret: str | None = None,
    token_cache: TokenCache | AsyncTokenCache | MemoryTokenCache | None = None,
    cache_policy: CachePolicy = CachePolicy(),
    verify: Verify = True,
    proxy: str | None = None,
    trust_env: bool = False,
    discovery: Discovery = "first",
    timeout: float = 10.0,
    retry: RetryPolicy = RetryPolicy(),
    max_connections: int = 100,
    clock: Callable[[], float] | None = None,
    on_event: Callable[[Event], object] | None = None,
    audit_identifiers: AuditIdentifiers = "hashed",
) -> Settings:
    """Configure the client; every keyword is checked here, and nothing is sent.

    Args:
        domain: the tenant's domain, such as ``tenant.us.auth0.com``, or a function that
            gives it for the store options of a call.
        client_id: the application's id.
        client_secret: the application's secret.
        client_assertion_signing_key: the private key, as PEM text or a JWK, of an
            application that authenticates with ``private_key_jwt``; a ``kid`` is kept.
        client_assertion_signing_alg: RS256, RS384, PS256, PS384, ES256 or ES384.
        client_auth: how the client authenticates (RFC 6749 section 2.3, RFC 7523):
            ``client_secret_post`` unless a key is given, ``client_secret_basic``,
            ``private_key_jwt``, or ``none`` for a public application.
        secret: the secret of the login session, or several, newest first.  The newest has
            32 characters or more; those after it still open what they sealed.
        state_store: where login sessions are kept, a store of ``auth0_tx.stores`` or your
            own; the browser's cookies where *secret* is given alone.
        session_policy: how long sessions last, and what their cookies are like.
        legacy_secret: the secret of Auth0's own SDK, whose session cookies then open, and
            are replaced by those of this library.
        token_cache: where exchanged tokens are cached, a cache of ``auth0_tx.caches`` or
            your own; every call is an exchange of its own without one.
        cache_policy: for how long they are, and what becomes of a cache that fails.
        verify: ``True`` for the public CAs, the path of a CA bundle, or an
            ``ssl.SSLContext`` that verifies, from TLS 1.2 on; verification cannot be turned
            off.  With *session*, leave it out.
        proxy: the URL of the proxy to go through.
        trust_env: whether the environment may name a proxy, a CA bundle and a file for the
            keys of connections (``HTTPS_PROXY``, ``NO_PROXY``, ``REQUESTS_CA_BUNDLE``,
            ``SSLKEYLOGFILE``); ``~/.netrc`` never counts.
        discovery: ``first`` to fetch the tenant's metadata before the first grant is sent;
            ``deferred`` to send it to the endpoints that Auth0 tenants have by convention,
            which saves the first call a round trip.  The metadata is then fetched and
            verified at the same time, and before an ID token is believed.
        timeout: seconds for one call, with all it takes: waiting, retries, keys.
        retry: when a failed request is sent again.
        max_connections: the most requests on the wire at once.
        clock: gives epoch seconds; the system's clock by default.
        on_event: told of what happens, by the values of ``auth0_tx.events``.
        audit_identifiers: how those events name users and sessions: ``hashed``, as keyed
            hashes that are the same in all processes of an application, or ``clear``.

    Raises:
        ConfigurationError: a keyword breaks a rule, or does not go with another.
    """
    method = client_auth
    if method is None:
        has_key = client_assertion_signing_key is not None
        method = "private_key_jwt" if has_key else "client_secret_post"
    problem = (
        _text("client_id", client_id)
        or _credentials(method, client_secret, client_assertion_signing_key)
        or _algorithm(client_assertion_signing_alg)
        or check_secret(secret)
        or _session(state_store, session_policy)
        or _legacy(legacy_secret, keeps=secret is not None or state_store is not None)
        or _token_cache(token_cache, cache_policy)
        or _shared_cache(token_cache, method, secret)
        or _choice("discovery", discovery, ("first", "deferred"))
        or _positive("timeout", timeout)
        or _retry(retry)
        or _count("max_connections", max_connections)
        or _callable("on_event", on_event)
        or _not_async("on_event", on_event)
        or _choice("audit_identifiers", audit_identifiers, ("hashed", "clear"))
        or _callable("clock", clock)
        or _flag("trust_env", trust_env)
        or _proxy(proxy)
    )
    if problem is not None:
        raise problem.configuration_error()
    authentication = build_client_authentication(
        method,
        client_id,
        client_secret,
        client_assertion_signing_key,
        client_assertion_signing_alg,
    )
    session_cookie, pseudonym_key, cache_hash_key = "", b"", b""
    # Here and not at the top: most clients that exchange tokens need none of these.
    if secret is not None or state_store is not None:
        from .session.cookies import CookieStore, cookie_name

        state_store = CookieStore() if state_store is None else state_store
        session_cookie = cookie_name(
            session_policy.cookie_name,
            secure=session_policy.cookie_secure,
            domain=session_policy.cookie_domain,
            path=session_policy.cookie_path,
        )
    if on_event is not None and audit_identifiers != "clear":
        from .session.pseudonyms import derive_pseudonym_key

        pseudonym_key = derive_pseudonym_key(
            client_id,
            client_secret or client_assertion_signing_key,
            list_secrets(secret),
        )
    if token_cache is not None:
        from .cache.tokens import client_hash_key

        cache_hash_key = client_hash_key(
            client_id,
            method,
            client_secret or client_assertion_signing_key,
            list_secrets(secret)[0] if secret else "",
        )
    return Settings(
        domain=None if callable(domain) else _domain(domain),
        resolver=domain if callable(domain) else None,
        client_id=client_id,
        client_auth=method,
        authentication=authentication,
        own_secrets=_list_own_secrets(client_secret, authentication),
        discovery=discovery,
        timeout=float(timeout),
        retry=retry,
        max_connections=max_connections,
        on_event=on_event,
        audit_identifiers=audit_identifiers,
        pseudonym_key=pseudonym_key,
        secrets=list_secrets(secret),
        state_store=state_store,
        session_policy=session_policy,
        session_cookie=session_cookie,
        legacy_secret=legacy_secret,
        token_cache=token_cache,
        cache_policy=cache_policy,
        cache_hash_key=cache_hash_key,
        verify=verify,
        proxy=proxy,
        trust_env=trust_env,
        clock=clock,
    )


def get_session_cookie(settings: Settings) -> str | None:
    """Return the full name of the session's cookie, or ``None`` if no sessions are kept."""
    return settings.session_cookie or None


def _list_own_secrets(
    client_secret: str | None, authentication: ClientAuthentication
) -> tuple[str, ...]:
    secrets = [] if client_secret is None else [secret_text(client_secret)]
    # In the header the secret is in Base64, and an answer may echo that too.
    credentials = authentication.headers.get("Authorization")
    if credentials is not None:
        secrets.append(secret_text(credentials.removeprefix("Basic ")))
    return tuple(secrets)


def _domain(domain: str) -> str:
    try:
        return normalise_domain(domain)
    except InvalidInputError as error:
        message = error.message
    raise Problem("domain", message.removeprefix("domain ")).configuration_error()


def _text(keyword: str, value: object) -> Problem | None:
    rule = check_text(value)
    return Problem(keyword, rule) if rule else None


def _credentials(method: object, client_secret: object, key: object) -> Problem | None:
    if method not in METHODS:
        return Problem("client_auth", f"must be one of {', '.join(METHODS)}")
    wants_key = method == "private_key_jwt"
    wants_secret = method in ("client_secret_post", "client_secret_basic")
    # RFC 6749 section 2.3: a client must not use more than one method in a request, so a
    # credential that would lie unused is a mistake somewhere.
    for keyword, value, wanted in (
        ("client_secret", client_secret, wants_secret),
        ("client_assertion_signing_key", key, wants_key),
    ):
        if wanted and value is None:
            return Problem(keyword, f"is needed for client_auth {method!r}")
        if not wanted and value is not None:
            return Problem(keyword, f"does not go with client_auth {method!r}")
    if not wants_secret:
        return None
    rule = check_text(client_secret, LONGEST_TOKEN)
    return Problem("client_secret", rule) if rule else None


def _algorithm(algorithm: object) -> Problem | None:
    if isinstance(algorithm, str) and algorithm in SIGNING_ALGORITHMS:
        return None
    return Problem(
        "client_assertion_signing_alg",
        f"must be one of {', '.join(SIGNING_ALGORITHMS)}",
    )


def check_secret(secret: object) -> Problem | None:
    """Return the rule that a secret for sealing sessions or tokens breaks, or ``None``.

    Args:
        secret: a secret, or several, newest first; ``None`` if there is none.
    """
    if secret is None:
        return None
    secrets = [secret] if isinstance(secret, str) else secret
    if not isinstance(secrets, (list, tuple)) or not secrets:
        return Problem("secret", "must be a string, or a list of strings, newest first")
    for text in secrets:
        if not isinstance(text, str) or not text.strip():
            return Problem("secret", "must not be empty, nor hold anything but strings")
    # The newest seals.  Older ones are only read, so that a short one can be replaced
    # without logging anybody out.
    if len(secrets[0].strip()) < SHORTEST_SECRET:
        return Problem(
            "secret",
            f"must have {SHORTEST_SECRET} characters or more; make one with {_MAKE_SECRET}",
        )
    return None


def list_secrets(secret: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the secrets that :func:`check_secret` found no problem in, newest first."""
    if secret is None:
        return ()
    given = [secret] if isinstance(secret, str) else secret
    return tuple(secret_text(text) for text in given)


def _legacy(secret: object, *, keeps: bool) -> Problem | None:
    if secret is None:
        return None
    if not (isinstance(secret, str) and secret.strip()):
        return Problem("legacy_secret", "must be a string with something in it")
    if not keeps:
        return Problem("legacy_secret", "goes with secret or state_store alone")
    return None


def _session(store: object, policy: object) -> Problem | None:
    if _is_cookie_store(store):
        for name in ("longest_chunk", "most_chunks"):
            size = getattr(store, name)
            if type(size) is not int or size < 1:
                return Problem(f"state_store.{name}", "must be a whole number above 0")
    elif store is not None and not all(
        callable(getattr(store, name, None)) for name in _STORE_METHODS
    ):
        return Problem(
            "state_store",
            f"must be a CookieStore or have the methods {', '.join(_STORE_METHODS)}",
        )
    return _session_policy(policy) or _most_sessions(store, policy)


def _is_cookie_store(store: object) -> bool:
    if store is None:
        return False
    from .session.cookies import CookieStore

    return isinstance(store, CookieStore)


def _session_policy(policy: object) -> Problem | None:
    if not isinstance(policy, SessionPolicy):
        return Problem("session_policy", "must be a SessionPolicy")
    for name in ("idle_seconds", "absolute_seconds"):
        value = getattr(policy, name)
        if not _is_number(value) or value < 1:
            return Problem(f"session_policy.{name}", "must be at least 1 second")
    if not _is_number(policy.refresh_margin) or policy.refresh_margin < 0:
        return Problem(
            "session_policy.refresh_margin", "must be a number of seconds, at least 0"
        )
    for name, is_well_formed in _COOKIE_RULES.items():
        value = getattr(policy, name)
        if name == "cookie_domain" and value is None:
            continue
        if not isinstance(value, str) or not re.fullmatch(is_well_formed, value):
            return Problem(f"session_policy.{name}", "must be fit for a cookie")
    same_site, failure = str(policy.cookie_same_site), str(policy.store_failure)
    if same_site not in ("lax", "strict", "none"):
        return Problem(
            "session_policy.cookie_same_site", "must be 'lax', 'strict' or 'none'"
        )
    problem = _flag("session_policy.cookie_secure", policy.cookie_secure)
    if problem is not None:
        return problem
    # RFC 6265bis section 5.7: browsers refuse it otherwise.
    if policy.cookie_same_site == "none" and not policy.cookie_secure:
        return Problem(
            "session_policy.cookie_same_site", "may be 'none' only with cookie_secure"
        )
    if failure not in ("raise", "no_session"):
        return Problem(
            "session_policy.store_failure", "must be 'raise' or 'no_session'"
        )
    return None


def _most_sessions(store: object, policy: object) -> Problem | None:
    most = getattr(policy, "max_sessions", None)
    if most is None:
        return None
    keyword = "session_policy.max_sessions"
    if type(most) is not int or most < 1:
        return Problem(keyword, "must be a whole number above 0, or None")
    # A store of the application's own may say that it lists no sessions.
    if (
        store is None
        or _is_cookie_store(store)
        or not getattr(store, "has_index", True)
    ):
        return Problem(
            keyword, "needs a state_store on the server that lists sessions by user"
        )
    return None


def _shared_cache(cache: object, method: object, secret: object) -> Problem | None:
    is_shared = cache is not None and not _is_memory_cache(cache)
    if is_shared and method == "none" and not secret:
        return Problem(
            "secret",
            "is required for the cache of a public application: without one, whoever "
            "reads the cache can compute its keys and open its entries",
        )
    return None


def _is_memory_cache(cache: object) -> bool:
    from .cache.token_cache import MemoryTokenCache

    return isinstance(cache, MemoryTokenCache)


def _token_cache(cache: object, policy: object) -> Problem | None:
    if not (
        cache is None
        or _is_memory_cache(cache)
        or all(callable(getattr(cache, name, None)) for name in _CACHE_METHODS)
    ):
        return Problem(
            "token_cache",
            f"must be a MemoryTokenCache or have the methods {', '.join(_CACHE_METHODS)}",
        )
    if not isinstance(policy, CachePolicy):
        return Problem("cache_policy", "must be a CachePolicy")
    for name in ("margin_seconds", "renew_seconds"):
        value = getattr(policy, name)
        if not _is_number(value) or value < 0:
            return Problem(
                f"cache_policy.{name}", "must be a number of seconds, at least 0"
            )
    if policy.max_age is not None and not (
        _is_number(policy.max_age) and policy.max_age > 0
    ):
        return Problem(
            "cache_policy.max_age", "must be a positive number of seconds, or None"
        )
    if str(policy.failure) not in ("ignore", "raise"):
        return Problem("cache_policy.failure", "must be 'ignore' or 'raise'")
    return None


def _retry(policy: object) -> Problem | None:
    if not isinstance(policy, RetryPolicy):
        return Problem("retry", "must be a RetryPolicy")
    if type(policy.attempts) is not int or policy.attempts < 1:
        return Problem("retry.attempts", "must be a whole number, at least 1")
    if type(policy.budget) is not int or policy.budget < 0:
        return Problem("retry.budget", "must be a whole number, at least 0")
    for name in (*_NUMBERS, "remember_refusals_seconds"):
        value = getattr(policy, name)
        if not _is_number(value) or value < 0:
            return Problem(f"retry.{name}", "must be a number of seconds, at least 0")
    return None


def _positive(keyword: str, value: object) -> Problem | None:
    if _is_number(value) and value > 0:  # type: ignore[operator]
        return None
    return Problem(keyword, "must be a positive number of seconds")


def _is_number(value: object) -> bool:
    # NaN compares with nothing.  More seconds than these, no lock or socket can wait.
    return type(value) in (int, float) and abs(value) <= _MOST_SECONDS  # type: ignore[arg-type]


def _count(keyword: str, value: object) -> Problem | None:
    if type(value) is int and value >= 1:
        return None
    return Problem(keyword, "must be a whole number, at least 1")


def _callable(keyword: str, value: object) -> Problem | None:
    return (
        None
        if value is None or callable(value)
        else Problem(keyword, "must be callable")
    )


def _not_async(keyword: str, value: object) -> Problem | None:
    # inspect.iscoroutinefunction, without what importing inspect costs.
    code = getattr(getattr(value, "__func__", value), "__code__", None)
    is_async = code is not None and code.co_flags & _CO_COROUTINE
    return (
        Problem(keyword, "must not be async: it is called, and never awaited")
        if (is_async)
        else None
    )


def _choice(keyword: str, value: object, choices: tuple[str, str]) -> Problem | None:
    # Text first: ``in`` compares, and a list or an array may refuse to be compared.
    if isinstance(value, str) and value in choices:
        return None
    one, other = choices
    return Problem(keyword, f"must be {one!r} or {other!r}")


def _flag(keyword: str, value: object) -> Problem | None:
    return None if isinstance(value, bool) else Problem(keyword, "must be a bool")


def _proxy(proxy: object) -> Problem | None:
    if proxy is None:
        return None
    rule = check_proxy(proxy)
    return Problem("proxy", rule) if rule else None
