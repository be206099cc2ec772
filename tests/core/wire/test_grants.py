"""The form of an exchange, and the options that are refused before it is sent."""

from __future__ import annotations

from enum import Enum
from typing import Any
from urllib.parse import parse_qsl, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auth0_tx.core.wire.grants import (
    LONGEST_TOKEN,
    TOKEN_EXCHANGE,
    check_access_token_options,
    check_exchange,
    check_on_behalf_of,
    exchange_form,
    grant_request,
    on_behalf_of_form,
    refresh_form,
    revocation_form,
    with_openid,
)
from auth0_tx.core.wire.private_key_jwt import ASSERTION_TYPE
from auth0_tx.core.wire.problems import LONGEST_TEXT
from auth0_tx.errors import CustomTokenExchangeErrorCode as Code
from auth0_tx.errors import InvalidInputError
from auth0_tx.secret import SecretStr
from auth0_tx.token_types import TokenType
from auth0_tx.values import CustomTokenExchangeOptions
from tests.core.exposure import collect_texts
from tests.core.world import SECRETS, TOKEN_ENDPOINT, Clock, build_client, build_options

ACTOR = {"actor_token": "actor", "actor_token_type": "urn:acme:service"}
NEEDLE = "needle"


class Hostile(str):
    """Text whose own methods misstate it."""

    def __str__(self) -> str:
        return "said-instead"

    def __format__(self, spec: str) -> str:
        return "said-instead"

    def lower(self) -> str:
        """Pretend to be another name."""
        return "said-instead"


class Field(str, Enum):  # noqa: UP042 (its format() is not its text)
    """Names of parameters as applications keep them."""

    CAMPAIGN = "campaign"
    CLIENT = "client_id"


def parse_form(form: str) -> list[tuple[str, str]]:
    """Read a form as a strict server does."""
    return parse_qsl(form, keep_blank_values=True, strict_parsing=True)


def encode_exchange(options: CustomTokenExchangeOptions) -> str:
    """Check *options* and encode them, as a flow does."""
    check_exchange(options)
    return exchange_form(options)


def try_exchange(**changes: Any) -> str | InvalidInputError:
    """Encode an ordinary exchange with *changes*, or return the error."""
    try:
        return encode_exchange(build_options(**changes))
    except InvalidInputError as error:
        return error


def find_error(**changes: Any) -> InvalidInputError:
    """Return the error for an ordinary exchange with *changes*."""
    with pytest.raises(InvalidInputError) as error:
        encode_exchange(build_options(**changes))
    assert "validate" == error.value.phase
    return error.value


def test_least_form() -> None:
    """An exchange needs the grant, the subject token and its type, and sends no more."""
    expected = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token", SECRETS["subject_token"]),
        ("subject_token_type", "urn:acme:legacy-token"),
    ]

    assert expected == parse_form(encode_exchange(build_options()))


def test_whole_form() -> None:
    """Every option has its parameter of RFC 8693, and extensions follow."""
    form = encode_exchange(
        build_options(
            subject_token="st+/= %",
            subject_token_type="https://acme.com/legacy?a=b&c",
            actor_token="at&x=y",
            actor_token_type=TokenType.ID_TOKEN,
            audience="https://api.example.com/",
            scope="openid read:data",
            organization="org_abc",
            authorization_params={"campaign": "Grüße & more", "empty": ""},
        )
    )

    assert [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", "st+/= %"),
        ("subject_token_type", "https://acme.com/legacy?a=b&c"),
        ("actor_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("audience", "https://api.example.com/"),
        ("scope", "openid read:data"),
        ("organization", "org_abc"),
        ("actor_token", "at&x=y"),
        ("campaign", "Grüße & more"),
        ("empty", ""),
    ] == parse_form(form)
    assert "requested_token_type" not in form
    assert isinstance(form, SecretStr)


@pytest.mark.parametrize(
    "uri",
    [
        *[kind for kind in TokenType if kind is not TokenType.SESSION_TRANSFER_TOKEN],
        "urn:acme:x",
        "URN:Acme:x",
        "http://acme.com/legacy",
        "https://acme.com/legacy",
        "https://notauth0.com/x",
        "https://auth0.com.acme.com/x",
        "https://tenant.auth0.com/x",
        "urn:ietf-like:x",
        "urn:auth0-like:x",
    ],
)
def test_type_accepted(uri: str) -> None:
    """A type is a URN or URL under your control, or one that RFC 8693 registers."""
    form = dict(parse_form(encode_exchange(build_options(subject_token_type=uri))))

    assert str(uri) == form["subject_token_type"]


BAD_TYPES: dict[str, list[Any]] = {
    "reserves": [
        "urn:auth0:x",
        "URN:AUTH0:x",
        "urn:okta:x",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:rfc:8693",
        "http://auth0.com",
        "https://auth0.com",
        "https://AUTH0.com/x",
        "https://auth0.com:443/x",
        "https://auth0.com?x",
        "https://auth0.com#x",
        "http://okta.com/x",
        TokenType.SESSION_TRANSFER_TOKEN,
    ],
    "a URI": [
        "acme",
        "urn:",
        "urn:a:x",
        "urn:-acme:x",
        "urn:acme:a b",
        "ftp://acme.com",
        "https://",
        "//acme.com",
        "mailto:a@acme.com",
    ],
    "empty": ["", " ", "\t"],
    "printable ASCII": [
        "urn:acme:ü",
        "urn:acme:\n",
        "urn:acme:\x00",
        "urn:acme:\ud800",
    ],
    "begin or end with white space": [" urn:acme:x", "urn:acme:x "],
    "a string": [None, 1, b"urn:acme:x", ["urn:acme:x"]],
    "longer": ["urn:acme:" + "x" * LONGEST_TEXT],
}


@pytest.mark.parametrize(
    ("rule", "uri"), [(rule, uri) for rule, uris in BAD_TYPES.items() for uri in uris]
)
@pytest.mark.parametrize("name", ["subject_token_type", "actor_token_type"])
def test_type_refused(name: str, rule: str, uri: Any) -> None:
    """A type that is not a URI, or is in a namespace of Auth0, is refused by name."""
    if name == "actor_token_type" and uri is None:
        return
    error = find_error(**{**ACTOR, name: uri})

    assert (Code.INVALID_ARGUMENT, name) == (error.code, error.parameter)
    assert rule in error.message


BAD_TOKENS: dict[str, list[Any]] = {
    "scheme": [
        "Bearer x",
        "bearer x",
        "BEARER x",
        "bEaReR",
        "Bearer",
        "Token x",
        "Basic eDp5",
        "DPoP x",
    ],
    "printable ASCII": [
        "BEARER\tx",
        "tok\r\nX-Evil: 1",
        "tok\x00en",
        "tok\x1b[0m",
        "tok\x7f",
        "töken",
        "tok\ud800",
        "tok\u2028",
        "\u0662",
    ],
    "begin or end with white space": [" Bearer x", " x", "x ", "  tok  "],
    "empty or only white space": ["", " ", "\t\n", "\u3000"],
    "a string": [b"token", 1, None, True, ["token"], {"token": 1}, object],
    f"longer than {LONGEST_TOKEN}": ["x" * (LONGEST_TOKEN + 1)],
}


@pytest.mark.parametrize(
    ("rule", "token"),
    [(rule, token) for rule, tokens in BAD_TOKENS.items() for token in tokens],
    ids=lambda value: repr(value)[:30],
)
@pytest.mark.parametrize("name", ["subject_token", "actor_token"])
def test_token_refused(name: str, rule: str, token: Any) -> None:
    """A token that a careless header parser let through is refused, not cleaned."""
    if name == "actor_token" and token is None:
        return
    error = find_error(**{**ACTOR, name: token})

    assert (Code.INVALID_TOKEN_FORMAT, name) == (error.code, error.parameter)
    assert rule in error.message


def test_limits() -> None:
    """A token may have 65,536 characters, and any other text 4,096."""
    longest = "x" * LONGEST_TEXT
    parameters = {"campaign": longest}
    form = encode_exchange(
        build_options(audience=longest, authorization_params=parameters)
    )

    assert (65_536, 4_096) == (LONGEST_TOKEN, LONGEST_TEXT)
    assert [longest, longest] == [value for _, value in parse_form(form)[3:]]


def test_megabyte() -> None:
    """A megabyte is not a token, and is refused before it is looked at."""
    error = find_error(subject_token="x" * 1_000_000)

    assert Code.INVALID_TOKEN_FORMAT == error.code
    assert len(str(error)) < 200


@pytest.mark.parametrize(
    "token",
    ["x", "Bearer.x", "bearerx", "token", "a b", "x" * LONGEST_TOKEN, "~!@#%^&*()"],
)
def test_token_accepted(token: str) -> None:
    """A token is opaque: whatever prints in ASCII may be one."""
    assert (
        token
        == dict(parse_form(encode_exchange(build_options(subject_token=token))))[
            "subject_token"
        ]
    )


def test_half_an_actor() -> None:
    """An actor token and its type go together (RFC 8693 section 2.1)."""
    no_type = find_error(actor_token="actor")
    no_token = find_error(actor_token_type="urn:acme:service")

    assert (Code.MISSING_ACTOR_TOKEN_TYPE, "actor_token_type") == (
        no_type.code,
        no_type.parameter,
    )
    assert (Code.MISSING_ACTOR_TOKEN, "actor_token") == (
        no_token.code,
        no_token.parameter,
    )


@pytest.mark.parametrize("name", ["audience", "organization", "scope"])
@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("", "empty"),
        ("   ", "empty"),
        (" x", "begin or end with white space"),
        ("x\r\ny", "printable ASCII"),
        ("x\x00", "printable ASCII"),
        ("ü", "printable ASCII"),
        ("\ud800", "printable ASCII"),
        ("x" * (LONGEST_TEXT + 1), "longer"),
        (b"x", "a string"),
        (1, "a string"),
        (True, "a string"),
        (["x"], "a string"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_text_refused(name: str, value: Any, rule: str) -> None:
    """Other texts are visible ASCII without padding too."""
    error = find_error(**{name: value})

    assert (Code.INVALID_ARGUMENT, name) == (error.code, error.parameter)
    assert rule in error.message


@pytest.mark.parametrize("scope", ["a  b", 'a "b"', "a\\b", "a,\u00a0b"])
def test_scope_refused(scope: str) -> None:
    """A scope is tokens with one space between them (RFC 6749 section 3.3)."""
    assert "scope" == find_error(scope=scope).parameter


RESERVED = [
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
]


@pytest.mark.parametrize("spell", [str, str.upper, str.title], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", RESERVED)
def test_reserved_parameter(name: str, spell: Any) -> None:
    """A parameter that the library sets cannot be overridden, however it is spelt."""
    error = find_error(authorization_params={"first": "fine", spell(name): NEEDLE})

    assert Code.RESERVED_PARAMETER == error.code
    assert f"authorization_params[{name!r}]" == error.parameter
    assert NEEDLE not in str(error)


@pytest.mark.parametrize(
    "name",
    [
        " client_id",
        "client_id ",
        "client_id[]",
        "client%5Fid",
        "client+id",
        "client_id\x00",
        "\uff43\uff4c\uff49\uff45\uff4e\uff54_id",
        "client\u017fecret",
        "",
        "a b",
        "a=b",
        "a&b",
        "x" * 129,
        1,
        None,
        b"x",
        ("a", "b"),
    ],
    ids=repr,
)
def test_parameter_name_refused(name: Any) -> None:
    """A name that some server could fold into another is refused, and not quoted."""
    error = find_error(authorization_params={name: "x"})

    assert (Code.INVALID_ARGUMENT, "authorization_params") == (
        error.code,
        error.parameter,
    )


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        *[
            (value, "a string")
            for value in (["a"], ("a", "b"), {"a": 1}, None, True, 1.5, b"")
        ],
        ("x" * (LONGEST_TEXT + 1), "longer"),
        ("a\nb", "printable"),
        ("a\x00", "printable"),
        ("\ud800", "printable"),
        ("a\u2028b", "printable"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_parameter_value_refused(value: Any, rule: str) -> None:
    """A value is printable text: nothing is turned into text, and no list is sent."""
    error = find_error(authorization_params={"campaign": value})

    assert "authorization_params['campaign']" == error.parameter
    assert rule in error.message


@pytest.mark.parametrize(
    "parameters", [[("a", "1"), ("a", "2")], "a=1", 5, {"a"}, True], ids=repr
)
def test_parameters_refused(parameters: Any) -> None:
    """Parameters are a mapping, which cannot name one twice."""
    assert "must be a mapping" in find_error(authorization_params=parameters).message


def test_parameter_twice() -> None:
    """Names that differ only in case are the same name to many servers."""
    error = find_error(authorization_params={"Campaign": "a", "campaign": "b"})

    assert "must not be given twice" in error.message


def test_too_many_parameters() -> None:
    """The number of extension parameters is limited."""
    parameters = {f"campaign_{number}": "a" for number in range(101)}
    error = find_error(authorization_params=parameters)
    parameters.pop("campaign_100")

    assert "must not have more than 100 parameters" in error.message
    assert "&campaign_99=a" in encode_exchange(
        build_options(authorization_params=parameters)
    )


def test_names_from_an_enum() -> None:
    """A name that is a member of a str enum is sent, and judged, by its text."""
    form = encode_exchange(
        build_options(authorization_params={Field.CAMPAIGN: Field.CAMPAIGN})
    )

    assert ("campaign", "campaign") == parse_form(form)[-1]
    assert (
        Code.RESERVED_PARAMETER
        == find_error(authorization_params={Field.CLIENT: "x"}).code
    )


def test_hostile_text() -> None:
    """Text of a class of its own counts by its characters alone, wherever it stands."""
    changes: dict[str, Any] = {
        **{name: Hostile(f"urn:acme:{name}") for name in ALL_TEXTS},
        "authorization_params": {Hostile("name"): Hostile("value")},
    }
    sent = dict(parse_form(encode_exchange(build_options(**changes))))

    assert {name: f"urn:acme:{name}" for name in ALL_TEXTS} == {
        name: sent[name] for name in ALL_TEXTS
    }
    assert "value" == sent["name"]
    with pytest.raises(InvalidInputError):
        encode_exchange(build_options(authorization_params={Hostile("client_id"): "x"}))


@pytest.mark.parametrize("value", [None, 1, "yes", 0], ids=repr)
def test_flag_refused(value: Any) -> None:
    """Whether a token is reusable is said by a bool."""
    assert (
        "subject_token_reusable" == find_error(subject_token_reusable=value).parameter
    )


@pytest.mark.parametrize("value", [None, {}, "options", object], ids=repr)
def test_no_options(value: Any) -> None:
    """An exchange takes options and nothing that looks like them."""
    with pytest.raises(InvalidInputError) as error:
        encode_exchange(value)

    assert "options" == error.value.parameter


ALL_TEXTS = (
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "audience",
    "scope",
    "organization",
)

PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
TOKENS = PRINTABLE.map(lambda text: f"t{text}")
URIS = PRINTABLE.map(lambda text: f"urn:acme:{text}")
SCOPES = st.lists(
    st.text("!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~", min_size=1), min_size=1, max_size=4
).map(" ".join)
NAMES = st.text("abcXYZ019_.~-", min_size=1).map(lambda name: f"x-{name}")
VALUES = st.text().filter(str.isprintable)


@given(
    members=st.fixed_dictionaries(
        {"subject_token": TOKENS, "subject_token_type": URIS},
        optional={"audience": PRINTABLE, "organization": PRINTABLE, "scope": SCOPES},
    ),
    actor=st.one_of(
        st.just({}),
        st.fixed_dictionaries({"actor_token": TOKENS, "actor_token_type": URIS}),
    ),
    parameters=st.dictionaries(NAMES, VALUES, max_size=4).filter(
        lambda found: len({name.lower() for name in found}) == len(found)
    ),
)
def test_form_parses_back(
    members: dict[str, Any], actor: dict[str, Any], parameters: dict[str, str]
) -> None:
    """The form parses back to exactly what was given, and each name is there once."""
    members = {**members, **actor}
    form = encode_exchange(
        CustomTokenExchangeOptions(**members, authorization_params=parameters)
    )
    expected = {"grant_type": TOKEN_EXCHANGE, **members, **parameters}

    assert sorted(expected.items()) == sorted(parse_form(form))
    assert form.isascii()


# Shorter than the suite's search for leaked secrets looks for: Hypothesis likes to try
# texts from the library's own source, which occur in many errors.
HOSTILE = st.one_of(
    st.text(max_size=5),
    st.sampled_from(
        [
            "{0.__class__}",
            "%s%n",
            "' OR 1=1 --",
            "\u202egnirts",
            "../../etc/passwd",
            "<script>",
            "${jndi:ldap://x}",
            "a" * 70_000,
            "\ufeff",
            "é",
            "e\u0301",
        ]
    ),
)


@given(name=st.sampled_from((*ALL_TEXTS, "name", "value")), text=HOSTILE)
@example("scope", "\x1f")
def test_any_text(name: str, text: str) -> None:
    """Any text in any place is refused without being shown, or sent exactly."""
    text = f"{text}ZQXJ{text}"
    changes: dict[str, Any] = {**ACTOR, name: text}
    if name == "name":
        changes = {"authorization_params": {text: "x"}}
    if name == "value":
        changes = {"authorization_params": {"campaign": text}}
    result = try_exchange(**changes)

    if isinstance(result, InvalidInputError):
        assert "ZQXJ" not in f"{result} {result!r} {result.args} {vars(result)}"
    else:
        assert text in [value for pair in parse_form(result) for value in pair]


@given(
    name=st.sampled_from(
        (*ALL_TEXTS, "authorization_params", "subject_token_reusable")
    ),
    thing=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
        ),
        max_leaves=5,
    ),
)
def test_anything(name: str, thing: Any) -> None:
    """A value that is not text is refused, unless it means that nothing was given."""
    result = try_exchange(**{**ACTOR, name: thing})
    harmless = thing is None or thing == {} or isinstance(thing, bool)

    assert isinstance(result, InvalidInputError) or harmless


@pytest.mark.parametrize("changes", [{"subject_token": "Bearer x"}, {"scope": "a  b"}])
def test_refusal_shows_nothing(changes: dict[str, Any]) -> None:
    """Neither the error nor any frame it passed shows the secrets of other options."""
    secrets = {**ACTOR, "actor_token": SECRETS["actor_token"]}
    parameters = {"pin": SECRETS["subject_token"]}
    error = find_error(**{**secrets, "authorization_params": parameters, **changes})

    assert [] == [
        secret for secret in SECRETS.values() if secret in collect_texts(error)
    ]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (None, "openid"),
        ("read:data", "openid read:data"),
        ("read:data openid", "read:data openid"),
        ("openid2", "openid openid2"),
        ("", ""),
        (7, 7),
    ],
    ids=repr,
)
def test_openid_scope(scope: Any, expected: object) -> None:
    """A login asks for ``openid``; a malformed scope is left for the check to refuse."""
    assert expected == with_openid(build_options(scope=scope)).scope


def test_on_behalf_of_form() -> None:
    """An on-behalf-of exchange is one of access tokens, for an audience."""
    expected = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": "a b",
        "subject_token_type": TokenType.ACCESS_TOKEN,
        "requested_token_type": TokenType.ACCESS_TOKEN,
        "audience": "https://api.example.com/",
    }

    form = on_behalf_of_form("a b", "https://api.example.com/", None)
    assert expected == dict(parse_form(form))
    form = on_behalf_of_form("a b", "https://api.example.com/", "read:data")
    assert {**expected, "scope": "read:data"} == dict(parse_form(form))


@pytest.mark.parametrize(
    ("arguments", "parameter"),
    [
        (("Bearer t", "api", None), "access_token"),
        (("t", None, None), "audience"),
        (("t", "api", "a  b"), "scope"),
    ],
    ids=["access_token", "audience", "scope"],
)
def test_on_behalf_of_refused(arguments: Any, parameter: str) -> None:
    """An on-behalf-of exchange needs a bare token, an audience, and a scope that is one."""
    with pytest.raises(InvalidInputError) as error:
        check_on_behalf_of(*arguments)

    assert parameter == error.value.parameter


def test_refresh_form() -> None:
    """A refresh names an audience and a scope only if they are given."""
    expected = [("grant_type", "refresh_token"), ("refresh_token", "r/+")]

    assert expected == parse_form(refresh_form("r/+", None, None))
    assert [*expected, ("audience", "api"), ("scope", "a b")] == parse_form(
        refresh_form("r/+", "api", "a b")
    )


def test_revocation_form() -> None:
    """A revocation says that its token is a refresh token (RFC 7009 section 2.1)."""
    assert [("token", "r/+"), ("token_type_hint", "refresh_token")] == parse_form(
        revocation_form("r/+")
    )


@pytest.mark.parametrize(
    ("audience", "scope", "parameter"),
    [(" api", None, "audience"), ("api", "a  b", "scope")],
)
def test_access_token_options_refused(
    audience: str, scope: str | None, parameter: str
) -> None:
    """An audience and a scope of an access token follow the same rules."""
    check_access_token_options("api", "a b")
    with pytest.raises(InvalidInputError) as error:
        check_access_token_options(audience, scope)

    assert parameter == error.value.parameter


def test_request(clock: Clock) -> None:
    """A grant is posted as a form, with the client's credentials behind it."""
    authentication = build_client(clock).settings.authentication
    form = encode_exchange(build_options())
    request = grant_request(TOKEN_ENDPOINT, form, authentication, "i", clock, str)

    assert ("POST", TOKEN_ENDPOINT) == (request.method, request.url)
    assert "application/x-www-form-urlencoded" == request.headers["Content-Type"]
    assert request.body is not None
    assert [
        *parse_form(form),
        ("client_id", "the-client"),
        ("client_secret", SECRETS["client_secret"]),
    ] == parse_form(request.body.decode("ascii"))
    assert quote_plus(ASSERTION_TYPE) not in request.body.decode()


def test_request_with_header_credentials(clock: Clock) -> None:
    """Credentials in the header leave the form alone (RFC 6749 section 2.3)."""
    context = build_client(clock, client_auth="client_secret_basic", client_secret="s")
    authentication = context.settings.authentication
    request = grant_request(TOKEN_ENDPOINT, "a=b", authentication, "i", clock, str)

    assert b"a=b" == request.body
    assert "Authorization" in request.headers
