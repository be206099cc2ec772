"""Actions: the event, the refusals, failures, and the event's secrets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import attrs
import pytest

from auth0_tx.tenant import (
    ActionApi,
    Event,
    Profile,
    User,
)
from tests.tenant.tenant_caller import Caller, Run, choose_alice, read_refusal

AUDIENCE = "https://api.example.com"


# -- the event ------------------------------------------------------------------------


def test_event(caller: Caller, run: Run) -> None:
    """An Action is told who asks for what, with every parameter it does not know."""
    seen: list[Event] = []

    def action(event: Event, api: ActionApi) -> None:
        seen.append(event)
        choose_alice(api)

    run(
        action,
        subject_token="opaque",
        audience=AUDIENCE,
        scope="openid read:data",
        organization="org_abc1234",
        reason="because",
    )
    (event,) = seen

    assert "opaque" == event.transaction.subject_token
    assert "urn:acme:custom" == event.transaction.subject_token_type
    assert ("openid", "read:data") == event.transaction.requested_scopes
    assert event.transaction.requested_token_type is None
    assert event.transaction.actor_token is None
    assert caller.tenant.client_id == event.client.client_id
    assert "client_secret_post" == event.client.authentication.type
    assert event.organization is not None
    assert ("org_abc1234", "acme") == (event.organization.id, event.organization.name)
    assert event.resource_server is not None
    assert AUDIENCE == event.resource_server.identifier
    assert "because" == event.request.body["reason"]
    assert "client_secret" not in event.request.body
    assert ("POST", "127.0.0.1") == (event.request.method, event.request.ip)
    assert "local" == event.tenant.id
    assert "hush" == event.secrets["KEY"]


def test_event_does_not_print_secrets(caller: Caller, run: Run) -> None:
    """Printing the event shows neither tokens, nor the body, nor secrets."""
    printed: list[str] = []

    def action(event: Event, api: ActionApi) -> None:
        printed.append(f"{event!r} {event.secrets} {[*event.secrets]}")
        assert 1 == len(event.secrets)
        choose_alice(api)

    run(action, subject_token="subject-token", extra="extra-value")

    assert "Secrets(KEY)" in printed[0]
    for secret in ("subject-token", "extra-value", "hush", caller.tenant.client_secret):
        assert secret not in printed[0]


def test_event_is_frozen(run: Run) -> None:
    """An Action cannot change what it was told."""

    def action(event: Event, api: ActionApi) -> None:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            event.tenant.id = "other"  # type: ignore[misc]
        with pytest.raises(TypeError):
            event.request.body["x"] = "y"  # type: ignore[index]
        choose_alice(api)

    assert 200 == run(action).status


def test_repeated_extension_parameter(caller: Caller, run: Run) -> None:
    """An extension parameter may repeat; the Action sees every value."""
    seen: list[Any] = []

    def action(event: Event, api: ActionApi) -> None:
        seen.append(event.request.body["role"])
        choose_alice(api)

    caller.tenant.profiles.add(Profile("urn:acme:roles", action))
    form = caller.build_form(subject_token_type="urn:acme:roles")
    caller.post(urlencode([*form.items(), ("role", "a"), ("role", "b")]).encode())

    assert [("a", "b")] == seen


# -- refusing -------------------------------------------------------------------------


def test_deny(run: Run) -> None:
    """A code of the Action's own answers 400, with its reason, and ends the Action."""
    after: list[str] = []

    def action(event: Event, api: ActionApi) -> None:
        deny: Callable[[str, str], object] = api.access.deny
        deny("quota_spent", "Come back {tomorrow}.")
        after.append("reached")

    assert (400, "quota_spent", "Come back {tomorrow}.") == read_refusal(run(action))
    assert [] == after


def test_deny_server_error(run: Run) -> None:
    """The code server_error is the only one that answers 500."""

    def action(event: Event, api: ActionApi) -> None:
        api.access.deny("server_error", "Down.")

    assert (500, "server_error", "Down.") == read_refusal(run(action))


def test_reject_invalid_subject_token(run: Run) -> None:
    """A rejected subject token answers invalid_request with the reason as given."""

    def action(event: Event, api: ActionApi) -> None:
        api.access.reject_invalid_subject_token("Forged.")

    assert (400, "invalid_request", "Forged.") == read_refusal(run(action))


def test_refusal_stands_though_it_is_caught(run: Run) -> None:
    """An Action that catches everything stays refused."""

    def action(event: Event, api: ActionApi) -> None:
        try:
            api.access.deny("no", "No.")
        except Exception:
            choose_alice(api)
        raise RuntimeError

    assert (400, "no", "No.") == read_refusal(run(action))


def test_first_refusal_stands(run: Run) -> None:
    """Of two refusals the first one counts."""

    def action(event: Event, api: ActionApi) -> None:
        try:
            api.access.deny("first", "One.")
        except Exception:
            api.access.deny("second", "Two.")

    assert (400, "first", "One.") == read_refusal(run(action))


def test_action_that_raises(
    caller: Caller, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """An Action that raises answers server_error; the log has the reason."""

    def action(event: Event, api: ActionApi) -> None:
        raise LookupError("no such thing")

    with caplog.at_level(logging.ERROR, "auth0_tx.tenant"):
        reply = run(action)

    assert (
        500,
        "server_error",
        "Script generated an unhandled asynchronous exception.",
    ) == read_refusal(reply)
    assert "LookupError: no such thing" in caller.tenant.logs[-1].description
    assert "LookupError" in caplog.text


# -- the default Action ---------------------------------------------------------------


@pytest.mark.parametrize(
    "how", ["garbage", "expired", "forged", "unknown", "no sub", "no exp"]
)
def test_default_action_rejects(
    caller: Caller, new_tenant: Callable[..., Any], how: str
) -> None:
    """The default Action rejects a token that is not the legacy system's own."""
    tenant = caller.tenant
    token = {
        "garbage": "not a jwt",
        "expired": tenant.subject_token("auth0|alice", expires_in=-1),
        "forged": new_tenant().subject_token("auth0|alice"),
        "unknown": tenant.subject_token("auth0|nobody"),
        "no exp": tenant.subject_token("auth0|alice", exp="never"),
        "no sub": tenant.subject_token("auth0|alice", sub=None),
    }[how]
    status, error, description = read_refusal(caller.exchange(subject_token=token))

    assert (400, "invalid_request") == (status, error)
    assert description.startswith("Invalid subject token: ")


def test_profile_without_action_takes_the_default(caller: Caller) -> None:
    """A profile added without an Action runs the default one."""
    caller.tenant.users.add(User("auth0|erin"))
    caller.tenant.profiles.add(Profile("https://acme.example/token"))
    reply = caller.exchange(
        subject_token=caller.tenant.subject_token("auth0|erin"),
        subject_token_type="https://acme.example/token",
    )

    assert 200 == reply.status
