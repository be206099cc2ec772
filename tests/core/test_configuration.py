"""A client's keywords: what they may be, what goes with what, and what shows."""

from __future__ import annotations

import copy
import pickle
import pprint
from typing import Any
from unittest import mock

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.caches import MemoryTokenCache, TokenCache
from auth0_tx.core.configuration import SECRETS, Settings, configure
from auth0_tx.core.session.cookies import CookieStore
from auth0_tx.core.wire.client_auth import METHODS
from auth0_tx.errors import ConfigurationError, InvalidInputError
from auth0_tx.errors import CustomTokenExchangeErrorCode as Code
from auth0_tx.secret import conceal
from auth0_tx.values import CachePolicy, RetryPolicy, SessionPolicy
from tests.core.browser import PaperStore
from tests.core.exposure import collect_texts
from tests.core.vectors_tokens import P256, RSA

NEEDLE = "needle-of-this-test"
LONG = "a secret with 32 characters, not random"
LEAST: dict[str, Any] = {
    "domain": "tenant.us.auth0.com",
    "client_id": "the-client",
    "client_secret": NEEDLE,
}
KEY: dict[str, Any] = RSA.as_dict(private=True)


def configure_client(**changes: Any) -> Settings:
    """Configure an ordinary client with *changes*, as the clients do."""
    keywords = {**LEAST, **changes}
    return configure(
        **{
            name: conceal(value) if name in SECRETS else value
            for name, value in keywords.items()
        }
    )


def find_refusal(**changes: Any) -> ConfigurationError:
    """Return the error that refuses an ordinary client with *changes*."""
    with pytest.raises(ConfigurationError) as error:
        configure_client(**changes)
    assert (Code.INVALID_CONFIGURATION, "validate") == (
        error.value.code,
        error.value.phase,
    )
    assert NEEDLE not in collect_texts(error.value)
    return error.value


def test_defaults() -> None:
    """A domain, an id and a secret are all that a client must be given."""
    settings = configure_client()

    assert "tenant.us.auth0.com" == settings.domain
    assert (10.0, 100, True, False) == (
        settings.timeout,
        settings.max_connections,
        settings.verify,
        settings.trust_env,
    )
    assert RetryPolicy() == settings.retry
    assert [None] * 4 == [
        settings.resolver,
        settings.on_event,
        settings.clock,
        settings.proxy,
    ]


def test_everything() -> None:
    """Every keyword is kept as it was given."""
    settings = configure_client(
        domain="HTTPS://Tenant.US.auth0.com/",
        secret=["new" * 11, "old" * 8],
        verify="/etc/ssl/ca.pem",
        proxy="http://user:password@proxy.example.com:3128",
        trust_env=True,
        timeout=3,
        retry=RetryPolicy(attempts=1),
        max_connections=7,
        clock=float,
        on_event=print,
    )

    assert "tenant.us.auth0.com" == settings.domain
    assert "/etc/ssl/ca.pem" == settings.verify
    assert "http://user:password@proxy.example.com:3128" == settings.proxy
    assert (True, 3.0, 1, 7) == (
        settings.trust_env,
        settings.timeout,
        settings.retry.attempts,
        settings.max_connections,
    )
    assert (float, print) == (settings.clock, settings.on_event)


def test_resolver() -> None:
    """A function in the domain's place gives the domain of each call."""
    settings = configure_client(domain=str)

    assert settings.domain is None
    assert str is settings.resolver


@pytest.mark.parametrize(
    "domain", ["localhost:3443", "http://127.0.0.1:8080", "[::1]:1"]
)
def test_loopback(domain: str) -> None:
    """A loopback with a port may be given explicitly."""
    assert domain == configure_client(domain=domain).domain


@pytest.mark.parametrize(
    "domain",
    [
        None,
        b"tenant.us.auth0.com",
        "",
        " ",
        "http://tenant.us.auth0.com",
        "https://tenant.us.auth0.com/path",
        "tenant.us.auth0.com?x",
        "evil.com#tenant.us.auth0.com",
        "tenant.us.auth0.com@evil.com",
        "tenant.us.auth0.com:443",
        "tenant.us.auth0.com\\evil",
        "tenant\t.auth0.com",
        "tenant%2eauth0.com",
        "127.1",
        "0x7f.1",
        "2130706433",
        "::ffff:7f00:1",
        "localhost",
        "metadata.google.internal",
        "169.254.169.254",
        "xn--tnant-esa.auth0.com",
        "tênant.auth0.com",
        f"{'a' * 64}.com",
        ".".join(["a" * 60] * 5),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_domain_refused(domain: Any) -> None:
    """A domain that could be read as another place is refused."""
    error = find_refusal(domain=domain)

    assert "domain" == error.parameter
    assert error.message.startswith("domain ")
    assert not error.message.startswith("domain domain")
    assert error.__context__ is error.__cause__ is None


@pytest.mark.parametrize(
    ("keywords", "parameter", "said"),
    [
        ({"client_secret": None}, "client_secret", "is needed for client_auth"),
        (
            {"client_secret": None, "client_auth": "client_secret_basic"},
            "client_secret",
            "is needed for client_auth 'client_secret_basic'",
        ),
        (
            {"client_auth": "none"},
            "client_secret",
            "does not go with client_auth 'none'",
        ),
        (
            {"client_assertion_signing_key": KEY},
            "client_secret",
            "does not go with client_auth 'private_key_jwt'",
        ),
        (
            {"client_secret": None, "client_auth": "private_key_jwt"},
            "client_assertion_signing_key",
            "is needed",
        ),
        (
            {"client_auth": "client_secret_post", "client_assertion_signing_key": KEY},
            "client_assertion_signing_key",
            "does not go with",
        ),
        (
            {
                "client_auth": "none",
                "client_secret": None,
                "client_assertion_signing_key": KEY,
            },
            "client_assertion_signing_key",
            "does not go with",
        ),
        ({"client_auth": "mtls"}, "client_auth", ", ".join(METHODS)),
        ({"client_auth": ""}, "client_auth", "must be one of"),
        ({"client_auth": []}, "client_auth", "must be one of"),
        (
            {"client_assertion_signing_alg": "HS256"},
            "client_assertion_signing_alg",
            "RS256",
        ),
        (
            {"client_assertion_signing_alg": "none"},
            "client_assertion_signing_alg",
            "must",
        ),
        (
            {"client_assertion_signing_alg": None},
            "client_assertion_signing_alg",
            "must",
        ),
        ({"client_assertion_signing_alg": []}, "client_assertion_signing_alg", "must"),
    ],
    ids=lambda value: None if isinstance(value, dict) else repr(value)[:40],
)
def test_credentials(keywords: dict[str, Any], parameter: str, said: str) -> None:
    """A method has what it needs, and nothing that would lie unused."""
    error = find_refusal(**keywords)

    assert parameter == error.parameter
    assert said in error.message


def test_method_is_chosen() -> None:
    """A signing key means private_key_jwt, where no method is named."""
    settings = configure_client(
        client_secret=None,
        client_assertion_signing_key=P256.as_dict(private=True),
        client_assertion_signing_alg="ES256",
    )

    assert "PrivateKeyJwt" == type(settings.authentication).__name__
    assert () == settings.own_secrets


NUMBERS: list[Any] = [
    None,
    "1",
    True,
    float("nan"),
    float("inf"),
    -1,
    10**400,
    1e300,
    [1],
]
BAD: list[tuple[str, list[Any], str]] = [
    ("client_id", [None, "", " ", " a", "ü", "a\n", b"a", 1, "x" * 5_000], "client_id"),
    (
        "client_secret",
        ["", " ", f"{NEEDLE}\n", f" {NEEDLE}", f"{NEEDLE}ü", 5, "x" * 70_000],
        "client_secret",
    ),
    (
        "secret",
        ["", "  ", [], (), [LONG, ""], [LONG, 1], 5, {"a": 1}, b"secret" * 6],
        "secret",
    ),
    ("discovery", [None, "", "defer", "First", True, ["first"]], "discovery"),
    ("timeout", [0, *NUMBERS], "timeout"),
    ("max_connections", [0, 1.0, *NUMBERS[:-3]], "max_connections"),
    ("on_event", [1, "print"], "on_event"),
    (
        "audit_identifiers",
        [None, "", "plain", "Clear", True, ["hashed"]],
        "audit_identifiers",
    ),
    ("clock", [1, 1.5], "clock"),
    ("trust_env", [None, 1, "yes"], "trust_env"),
    (
        "proxy",
        [
            "",
            "proxy:3128",
            "socks5://proxy",
            5,
            f"http://{NEEDLE}\n",
            f"ftp://{NEEDLE}",
        ],
        "proxy",
    ),
    ("retry", [None, 3, {"attempts": 3}], "retry"),
]


@pytest.mark.parametrize(
    ("keyword", "value", "parameter"),
    [
        (keyword, value, parameter)
        for keyword, values, parameter in BAD
        for value in values
    ],
    ids=lambda value: repr(value)[:30],
)
def test_keyword_refused(keyword: str, value: Any, parameter: str) -> None:
    """A keyword that breaks a rule is named, with the rule and without the value."""
    error = find_refusal(**{keyword: value})

    assert parameter == error.parameter
    assert " must " in error.message


@pytest.mark.parametrize("secret", [LONG, [LONG, "b"], (LONG, "b")], ids=repr)
def test_session_secret(secret: Any) -> None:
    """The secret of the login session is one text, or several."""
    assert "the-client" == configure_client(secret=secret).client_id


@pytest.mark.parametrize(
    "secret",
    [
        NEEDLE,
        NEEDLE.ljust(31, "x"),
        NEEDLE.ljust(40),
        [NEEDLE],
        [NEEDLE, LONG],
        (NEEDLE, LONG),
    ],
    ids=["short", "31", "padded", "in a list", "newest", "newest of a tuple"],
)
def test_short_secret(secret: Any) -> None:
    """The newest secret has 32 characters or more; the error says how to make one."""
    error = find_refusal(secret=secret)

    assert "secret" == error.parameter
    assert "32 characters" in error.message
    assert "secrets.token_urlsafe(32)" in error.message
    assert NEEDLE not in str(error)


DELAYS = (
    "transient_delay",
    "throttled_delay",
    "longest_delay",
    "blocked_seconds",
    "remember_refusals_seconds",
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("attempts", value) for value in (0, 1.0, *NUMBERS[:-3])],
        *[("budget", value) for value in (1.0, *NUMBERS[:-3])],
        *[(name, value) for name in DELAYS for value in NUMBERS],
    ],
    ids=lambda value: repr(value)[:30],
)
def test_policy_refused(name: str, value: Any) -> None:
    """Each number of a retry policy has a rule."""
    error = find_refusal(retry=RetryPolicy(**{name: value}))

    assert f"retry.{name}" == error.parameter


def test_sessions() -> None:
    """A secret alone keeps sessions in cookies; a store is kept as it is; else there are none."""
    store, policy = PaperStore(lambda: 0.0), SessionPolicy(cookie_domain="example.com")

    assert CookieStore() == configure_client(secret=[LONG, "old"]).state_store
    assert (LONG, "old") == configure_client(secret=[LONG, "old"]).secrets
    assert store is configure_client(secret=LONG, state_store=store).state_store
    assert policy is configure_client(session_policy=policy).session_policy
    assert (None, ()) == (configure_client().state_store, configure_client().secrets)


@pytest.mark.parametrize(
    ("keyword", "value", "parameter"),
    [
        ("state_store", {}, "state_store"),
        ("state_store", "redis", "state_store"),
        ("state_store", CookieStore(longest_chunk=0), "state_store.longest_chunk"),
        ("state_store", CookieStore(most_chunks=True), "state_store.most_chunks"),
        ("legacy_secret", " ", "legacy_secret"),
        ("legacy_secret", b"bytes", "legacy_secret"),
        ("legacy_secret", "of a client that keeps no sessions", "legacy_secret"),
        ("session_policy", None, "session_policy"),
        ("session_policy", {"idle_seconds": 5}, "session_policy"),
    ],
    ids=str,
)
def test_session_keyword_refused(keyword: str, value: Any, parameter: str) -> None:
    """Settings that cannot keep a session are refused by name."""
    assert parameter == find_refusal(**{keyword: value}).parameter


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("idle_seconds", 0),
        ("idle_seconds", True),
        ("absolute_seconds", float("nan")),
        ("absolute_seconds", "day"),
        ("refresh_margin", -1),
        ("cookie_name", ""),
        ("cookie_name", "a b"),
        ("cookie_name", "a.b"),
        ("cookie_name", None),
        ("cookie_domain", "localhost"),
        ("cookie_domain", "exämple.com"),
        ("cookie_domain", "a.b;c"),
        ("cookie_path", "app"),
        ("cookie_path", "/a;b"),
        ("cookie_secure", 1),
        ("cookie_same_site", "Lax"),
        ("cookie_same_site", None),
        ("store_failure", "ignore"),
        ("store_failure", ["raise"]),
    ],
    ids=str,
)
def test_session_policy_refused(name: str, value: Any) -> None:
    """Each setting of the policy is checked by its name."""
    policy = SessionPolicy(**{name: value})

    assert f"session_policy.{name}" == find_refusal(session_policy=policy).parameter


def test_same_site_none_over_http() -> None:
    """Browsers refuse a cookie for other sites that is not secure, so it is refused here."""
    policy = SessionPolicy(cookie_same_site="none", cookie_secure=False)
    fine = SessionPolicy(cookie_same_site="none", cookie_path="/app")

    assert (
        "session_policy.cookie_same_site"
        == find_refusal(session_policy=policy).parameter
    )
    assert fine is configure_client(session_policy=fine).session_policy


@pytest.mark.parametrize("name", DELAYS)
def test_no_delay(name: str) -> None:
    """A delay may be nothing."""
    policy = RetryPolicy(**{name: 0})  # type: ignore[arg-type]

    assert policy == configure_client(retry=policy).retry


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout": 10**8, "max_connections": 1},
        {"timeout": 0.001, "retry": RetryPolicy(budget=0, attempts=1)},
    ],
    ids=repr,
)
def test_bounds(changes: dict[str, Any]) -> None:
    """A value just within its bounds is accepted unchanged."""
    settings = configure_client(**changes)

    assert changes == {name: getattr(settings, name) for name in changes}
    assert "timeout" == find_refusal(timeout=10**8 + 1).parameter


def test_configuration_is_input() -> None:
    """Whoever catches bad input catches bad keywords, and ValueError catches both."""
    error = find_refusal(client_id="")

    assert isinstance(error, InvalidInputError)
    assert isinstance(error, ValueError)


SECRETIVE = {
    "post": {},
    "basic": {"client_auth": "client_secret_basic"},
    "key": {"client_secret": None, "client_assertion_signing_key": KEY},
}


@pytest.mark.parametrize("as_client_does", [False, True])
@pytest.mark.parametrize("keywords", SECRETIVE.values(), ids=SECRETIVE.keys())
def test_settings_print_no_secret(
    keywords: dict[str, Any], as_client_does: bool
) -> None:
    """Settings do not print what is secret, whole, taken apart or by their attributes."""
    proxy = f"http://user:{NEEDLE}@proxy.example.com"
    given: dict[str, Any] = {**LEAST, "proxy": proxy, **keywords}
    settings = configure_client(**given) if as_client_does else configure(**given)
    shown = [
        repr(settings),
        str(settings),
        f"{settings}",
        pprint.pformat(settings),
        pprint.pformat(attrs.asdict(settings)),
        repr(attrs.astuple(settings)),
        repr([getattr(settings, field.name) for field in attrs.fields(Settings)]),
    ]

    assert [] == [text for text in shown if NEEDLE in text or KEY["d"] in text]
    assert not hasattr(settings, "__dict__")


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_settings_are_not_duplicated(duplicate: Any) -> None:
    """Settings refuse to be pickled or copied, and say why without a secret."""
    with pytest.raises(TypeError, match="Settings holds secrets") as error:
        duplicate(configure_client())

    assert NEEDLE not in str(error.value)


TEXTS = ("domain", "client_id", "client_secret", "client_auth", "secret", "proxy")
# Shorter than what the suite's search for secrets takes for one: Hypothesis likes to try
# texts out of the library's own source, which are in many an error.
SHORT = st.text(max_size=15)
ANYTHING = st.one_of(
    st.none(),
    SHORT,
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(),
    st.lists(SHORT | st.integers(), max_size=3),
    st.dictionaries(SHORT, SHORT, max_size=2),
)


def try_configure(**changes: Any) -> Settings | ConfigurationError:
    """Configure an ordinary client with *changes*, or return the error."""
    try:
        return configure_client(**changes)
    except ConfigurationError as error:
        return error


@given(keyword=st.sampled_from(TEXTS), text=st.text(max_size=5))
def test_any_text(keyword: str, text: str) -> None:
    """Any text in any keyword is refused without being shown, or kept exactly."""
    text = f"{text}ZQXJ{text}"
    result = try_configure(**{keyword: text})

    if isinstance(result, ConfigurationError):
        assert "ZQXJ" not in f"{result} {result!r} {result.args} {vars(result)}"
    else:
        # A domain is normalised, and the secret of a later session is not kept.
        kept = {getattr(result, keyword, None), *result.own_secrets}
        assert keyword in ("domain", "secret") or text in kept


@given(
    keyword=st.sampled_from(
        [
            *TEXTS,
            "client_assertion_signing_alg",
            "client_assertion_signing_key",
            "timeout",
            "retry",
            "max_connections",
            "clock",
            "on_event",
            "audit_identifiers",
            "discovery",
            "trust_env",
        ]
    ),
    thing=ANYTHING,
)
def test_anything(keyword: str, thing: Any) -> None:
    """Whatever a keyword is given, the client is made or refused as a configuration is."""
    result = try_configure(**{keyword: thing})

    assert isinstance(result, Settings) or result.parameter is not None


@given(thing=ANYTHING)
def test_any_key(thing: Any) -> None:
    """Whatever is given as a key, nothing but a key is taken."""
    with pytest.raises(ConfigurationError):
        configure_client(
            client_secret=None,
            client_auth="private_key_jwt",
            client_assertion_signing_key=thing,
        )


@pytest.mark.parametrize(
    ("changes", "has_key"),
    [
        ({}, False),
        ({"on_event": print}, True),
        ({"on_event": print, "audit_identifiers": "clear"}, False),
        ({"on_event": print, "client_auth": "none", "client_secret": None}, False),
    ],
)
def test_pseudonym_key(changes: dict[str, Any], has_key: bool) -> None:
    """The key of pseudonyms is derived where a subscriber is told of them, and only there."""
    settings = configure_client(**changes)

    assert has_key is (settings.pseudonym_key != b"")
    assert changes.get("audit_identifiers", "hashed") == settings.audit_identifiers


def test_pseudonym_key_of_secret() -> None:
    """Processes with the same newest secret have the same key, whatever else differs."""
    keys = {
        configure_client(
            on_event=print,
            secret=secrets,
            client_secret=credential,
        ).pseudonym_key
        for secrets in (LONG, [LONG, "older"])
        for credential in ("one", "two")
    }

    assert 1 == len(keys)


class _Listener:
    async def hear(self, event: object) -> None:
        """Never be awaited."""

    def listen(self, event: object) -> None:
        """Be called."""


async def _hear(event: object) -> None:
    """Never be awaited."""


@pytest.mark.parametrize(
    "subscriber", [_hear, _Listener().hear], ids=["function", "method"]
)
def test_async_subscriber(subscriber: Any) -> None:
    """A subscriber that nobody would await is refused, and any other callable is not."""
    given: dict[str, Any] = {
        "domain": "t.auth0.com",
        "client_id": "c",
        "client_secret": "s",
    }
    with pytest.raises(ConfigurationError, match="must not be async"):
        configure(**given, on_event=subscriber)
    for subscriber in (_Listener().listen, print):
        assert subscriber == configure(**given, on_event=subscriber).on_event


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"token_cache": object()}, "token_cache"),
        ({"cache_policy": "none"}, "cache_policy"),
        (
            {"cache_policy": CachePolicy(margin_seconds=-1)},
            "cache_policy.margin_seconds",
        ),
        (
            {"cache_policy": CachePolicy(renew_seconds=True)},
            "cache_policy.renew_seconds",
        ),
        ({"cache_policy": CachePolicy(max_age=0)}, "cache_policy.max_age"),
        ({"cache_policy": CachePolicy(failure="stop")}, "cache_policy.failure"),  # type: ignore[arg-type]
    ],
    ids=["cache", "policy", "margin", "renewal", "age", "failure"],
)
def test_token_cache(changes: dict[str, Any], parameter: str) -> None:
    """A token cache has its four methods, and a policy makes sense."""
    given: dict[str, Any] = {
        "domain": "t.auth0.com",
        "client_id": "c",
        "client_secret": "s",
    }
    with pytest.raises(ConfigurationError) as refused:
        configure(**given, **changes)

    assert parameter == refused.value.parameter


def test_shared_cache_of_a_public_client() -> None:
    """Without a secret of any kind, nothing would keep others out of a cache that is shared."""
    shared: Any = mock.create_autospec(TokenCache, instance=True)
    given: dict[str, Any] = {
        "domain": "t.auth0.com",
        "client_id": "c",
        "client_auth": "none",
    }
    with pytest.raises(ConfigurationError, match="secret is required") as refused:
        configure(**given, token_cache=shared)

    assert "secret" == refused.value.parameter
    assert shared is configure(**given, token_cache=shared, secret="s" * 32).token_cache
    assert configure(**given, token_cache=MemoryTokenCache()).token_cache is not None


def test_session_secret_hashes_too() -> None:
    """With a session secret the keys of a cache are hashed with that as well."""
    given: dict[str, Any] = {
        "domain": "t.auth0.com",
        "client_id": "c",
        "client_secret": "s",
        "token_cache": MemoryTokenCache(),
    }
    without, one, both = (
        configure(**given, **more).cache_hash_key
        for more in ({}, {"secret": "a" * 32}, {"secret": ["a" * 32, "b" * 32]})
    )

    assert without != one == both
