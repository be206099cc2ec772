"""The token endpoint's refusals before and after an Action, row by row."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth0_tx.tenant import Api, ReceivedRequest, Refusal, Settings, Tenant, Wording
from tests.tenant.tenant_caller import FORM, Caller, read_refusal

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


@pytest.mark.parametrize("name", ["grant_type", "subject_token", "subject_token_type"])
@pytest.mark.parametrize("value", [None, ""])
def test_missing_parameter(caller: Caller, name: str, value: str | None) -> None:
    """A required parameter that is missing or empty is named."""
    assert (
        400,
        "invalid_request",
        f"Missing required parameter: {name}",
    ) == read_refusal(caller.exchange(**{name: value}))


@pytest.mark.parametrize(
    "half",
    [{"actor_token": "x"}, {"actor_token_type": "urn:acme:legacy-token"}],
)
def test_half_an_actor_pair(caller: Caller, half: dict[str, str]) -> None:
    """An actor_token without its type, or the type without it, is refused."""
    assert (400, "invalid_request") == read_refusal(caller.exchange(**half))[:2]


@pytest.mark.parametrize("value", ["", ACCESS_TOKEN])
def test_requested_token_type(caller: Caller, value: str) -> None:
    """The requested_token_type parameter is refused, be it empty."""
    assert (
        400,
        "invalid_request",
        "Invalid subject_token_type and requested_token_type combination.",
    ) == read_refusal(caller.exchange(requested_token_type=value))


@pytest.mark.parametrize(
    "token_type", ["urn:acme:unknown", ACCESS_TOKEN, "https://auth0.com/token"]
)
def test_subject_token_type_without_profile(caller: Caller, token_type: str) -> None:
    """A type with no profile, reserved ones among them, is refused."""
    reply = caller.exchange(subject_token_type=token_type)

    assert (400, "invalid_request") == read_refusal(reply)[:2]
    assert token_type in read_refusal(reply)[2]


def test_application_without_custom_token_exchange(caller: Caller) -> None:
    """An application not enabled for custom token exchange is refused."""
    client_id = caller.tenant.client_id
    caller.tenant.applications.change(client_id, custom_token_exchange=False)

    assert (403, "unauthorized_client") == read_refusal(caller.exchange())[:2]


@pytest.mark.parametrize("trait", ["first_party", "oidc_conformant"])
def test_application_not_eligible(caller: Caller, trait: str) -> None:
    """Third-party applications and legacy ones may not exchange."""
    caller.tenant.applications.change(caller.tenant.client_id, **{trait: False})

    assert (403, "unauthorized_client") == read_refusal(caller.exchange())[:2]


def test_grant_type_not_allowed(caller: Caller) -> None:
    """An application without the grant is refused in Auth0's words."""
    caller.tenant.applications.change(caller.tenant.client_id, grant_types=["password"])

    assert (
        403,
        "unauthorized_client",
        "Grant type 'urn:ietf:params:oauth:grant-type:token-exchange' not allowed for "
        "the client.",
    ) == read_refusal(caller.exchange())


def test_unsupported_grant_type(caller: Caller) -> None:
    """A grant the tenant does not know is refused."""
    assert (400, "unsupported_grant_type", "Grant type not supported") == read_refusal(
        caller.exchange(grant_type="client_credentials")
    )


def test_unknown_audience(caller: Caller) -> None:
    """An audience that is not an API of the tenant is refused."""
    assert (
        403,
        "access_denied",
        "Service not found: https://no.example",
    ) == read_refusal(caller.exchange(audience="https://no.example"))


def test_consent_required(caller: Caller) -> None:
    """An API that does not skip consent is refused."""
    caller.tenant.apis.add(Api("https://consent.example", skip_consent=False))

    assert (403, "consent_required", "Consent required") == read_refusal(
        caller.exchange(audience="https://consent.example")
    )


def test_session_transfer_is_disabled(caller: Caller) -> None:
    """The session transfer audience is refused, as on a tenant without the feature."""
    audience = f"urn:{caller.tenant.issuer.split('/')[2]}:session_transfer"

    assert (
        400,
        "invalid_request",
        "Session Transfer Tokens cannot be requested on this tenant.",
    ) == read_refusal(caller.exchange(audience=audience))


def test_mfa_required(caller: Caller) -> None:
    """A user with MFA gets mfa_required and a token to go on with."""
    caller.tenant.users.change("auth0|alice", mfa=True)
    reply = caller.exchange()

    assert (403, "mfa_required", "Multifactor authentication required") == read_refusal(
        reply
    )
    assert reply.members["mfa_token"]


def test_mfa_with_an_actor(caller: Caller) -> None:
    """MFA and an actor do not go together."""
    caller.tenant.users.change("auth0|alice", mfa=True)
    reply = caller.exchange(
        actor_token=caller.tenant.subject_token("auth0|bob"),
        actor_token_type="urn:acme:legacy-token",
    )

    assert (
        400,
        "invalid_request",
        "MFA is not supported using actor_token with the requested token exchange "
        "profile.",
    ) == read_refusal(reply)


def test_blocked_user(caller: Caller) -> None:
    """A blocked user gets no tokens."""
    caller.tenant.users.change("auth0|alice", blocked=True)

    assert (403, "access_denied") == read_refusal(caller.exchange())[:2]


def test_connection_not_enabled_for_the_application(caller: Caller) -> None:
    """A user whose connection the application does not use gets no tokens."""
    client_id = caller.tenant.client_id
    caller.tenant.applications.change(client_id, connections=["google-oauth2"])

    assert (403, "access_denied") == read_refusal(caller.exchange())[:2]


@pytest.mark.parametrize(
    "name", ["scope", "audience", "subject_token", "client_secret", "grant_type"]
)
def test_repeated_parameter(caller: Caller, name: str) -> None:
    """A parameter of the protocol sent twice is refused."""
    pairs = [
        *caller.build_form(scope="openid", audience="https://api.example.com").items()
    ]
    pairs.append((name, "again"))

    assert (
        400,
        "invalid_request",
        f"Parameter sent more than once: {name}",
    ) == read_refusal(caller.post(urlencode(pairs).encode()))


def test_repeated_parameter_is_a_setting(new_tenant: Callable[..., Tenant]) -> None:
    """A tenant may take the first of a repeated parameter instead."""
    caller = Caller(new_tenant(settings=Settings(refuse_repeated_parameters=False)))
    pairs = [*caller.build_form(scope="openid").items(), ("scope", "email")]

    assert "id_token" in caller.post(urlencode(pairs).encode()).members


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"grant_type=%ff", FORM["content-type"]),
        ("grant_type=ü".encode(), FORM["content-type"]),
        (b"&".join(b"a=%d" % n for n in range(2000)), FORM["content-type"]),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"grant_type": 1}', "application/json"),
        (rb'{"client_secret": "\ud800"}', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"grant_type=x", "text/plain"),
        (b"grant_type=x", ""),
    ],
)
def test_malformed_body(caller: Caller, body: bytes, media_type: str) -> None:
    """A body that is neither a form nor a JSON object of strings is refused."""
    reply = caller.post(body, {"content-type": media_type})

    assert (400, "invalid_request", "Invalid request body") == read_refusal(reply)


def test_media_type_parameters_are_ignored(caller: Caller) -> None:
    """A charset after the media type changes nothing, nor does its case."""
    body = urlencode(caller.build_form()).encode()
    media_type = "Application/X-WWW-Form-URLEncoded; charset=UTF-8"

    assert 200 == caller.post(body, {"content-type": media_type}).status


def test_json_list_is_a_repetition(caller: Caller) -> None:
    """A list in a JSON body counts as a parameter sent several times."""
    body = json.dumps({**caller.build_form(), "audience": ["a", "b"]}).encode()

    assert (
        400,
        "invalid_request",
        "Parameter sent more than once: audience",
    ) == read_refusal(caller.post(body, {"content-type": "application/json"}))


def test_wording_is_a_setting(new_tenant: Callable[..., Tenant]) -> None:
    """Every refusal can be worded otherwise."""
    wording = Wording(unknown_audience=Refusal(400, "invalid_target", "No {audience}!"))
    caller = Caller(new_tenant(wording=wording))

    assert (400, "invalid_target", "No {x}!") == read_refusal(
        caller.exchange(audience="{x}")
    )


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/oauth/token"), ("GET", "/"), ("POST", "/authorize")]
)
def test_anything_else_is_not_found(tenant: Tenant, method: str, path: str) -> None:
    """A path or method the tenant does not serve is a 404 in JSON."""
    reply = tenant.respond(ReceivedRequest(method=method, path=path))

    assert (404, "Not Found") == (reply.status, reply.members["error"])


_VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "urn:ietf:params:oauth:grant-type:token-exchange",
            "urn:ietf:params:oauth:token-type:id_token",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "urn:acme:mcp-token",
            "local-client",
            "a.b.c",
            "W10.W10.W10",
            "eyJhbGciOiJSUzI1NiJ9.e30.eA",
            "{}",
        ]
    ),
)
_BODIES = st.dictionaries(
    st.sampled_from(
        [
            "actor_token",
            "actor_token_type",
            "audience",
            "client_assertion",
            "client_assertion_type",
            "client_id",
            "client_secret",
            "grant_type",
            "organization",
            "scope",
            "subject_token",
            "subject_token_type",
        ]
    ),
    _VALUES,
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=_BODIES, authorization=st.none() | _VALUES, as_json=st.booleans())
def test_any_request_is_answered(
    caller: Caller, changes: dict[str, str], authorization: str | None, as_json: bool
) -> None:
    """Whatever a request says, it gets an answer of the token endpoint's kind."""
    form = caller.build_form(**changes)
    body = (json.dumps(form) if as_json else urlencode(form)).encode()
    headers = {"content-type": "application/json"} if as_json else FORM
    if authorization is not None:
        headers = {**headers, "authorization": authorization}
    reply = caller.post(body, headers)

    assert {"access_token", "error"} & set(reply.members)
    assert reply.status in (200, 400, 401, 403, 429)
