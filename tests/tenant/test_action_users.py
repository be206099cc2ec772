"""For whom an Action may ask for tokens, and the limits of its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from auth0_tx.tenant import (
    ActionApi,
    Connection,
    Event,
)
from tests.tenant.tenant_caller import (
    Act,
    Caller,
    Run,
    choose_alice,
    read_claims,
    read_refusal,
)

DATABASE = "Username-Password-Authentication"


def test_no_user(run: Run) -> None:
    """An Action that sets no user answers server_error."""
    assert (500, "server_error") == read_refusal(run(lambda event, api: None))[:2]


def test_two_users(run: Run) -> None:
    """An Action that sets a user twice answers server_error."""

    def action(event: Event, api: ActionApi) -> None:
        choose_alice(api)
        choose_alice(api)

    assert (500, "server_error") == read_refusal(run(action))[:2]


def test_unknown_user(run: Run) -> None:
    """A user the tenant does not know is refused."""

    def action(event: Event, api: ActionApi) -> None:
        api.authentication.set_user_by_id("auth0|nobody")

    assert "User not found" == read_refusal(run(action))[2]


CREATE = {"creationBehavior": "create_if_not_exists", "updateBehavior": "none"}
REPLACE = {"creationBehavior": "none", "updateBehavior": "replace"}
NOTHING = {"creationBehavior": "none", "updateBehavior": "none"}


def choose_by_connection(
    options: dict[str, str], connection: str = DATABASE, **attributes: Any
) -> Act:
    """Return an Action that sets a user by connection."""

    def action(event: Event, api: ActionApi) -> None:
        api.authentication.set_user_by_connection(connection, attributes, options)

    return action


def test_user_is_created(caller: Caller, run: Run) -> None:
    """A user not there yet is created, and gets tokens."""
    action = choose_by_connection(CREATE, user_id="carol", email="carol@example.com")
    reply = run(action, scope="openid email")

    assert "carol@example.com" == read_claims(reply.members["id_token"])["email"]
    assert DATABASE == caller.tenant.users["auth0|carol"].connection


@pytest.mark.parametrize(
    ("options", "name"), [(REPLACE, "Alicia"), (NOTHING, "Alice Adams")]
)
def test_user_is_updated_if_asked(
    caller: Caller, run: Run, options: dict[str, str], name: str
) -> None:
    """An existing user's attributes are replaced only with updateBehavior."""
    reply = run(choose_by_connection(options, user_id="alice", name="Alicia"))

    assert 200 == reply.status
    assert name == caller.tenant.users["auth0|alice"].name


def test_user_is_not_created(run: Run) -> None:
    """A user not there yet is refused unless creationBehavior says to create."""
    assert (
        "User not found"
        == read_refusal(run(choose_by_connection(REPLACE, user_id="dave")))[2]
    )


def test_user_of_another_connection(caller: Caller, run: Run) -> None:
    """An identifier another connection has given out already is refused."""
    caller.tenant.user_connections.add(Connection("second", strategy="auth0"))

    assert 400 == run(choose_by_connection(CREATE, "second", user_id="alice")).status


def test_unknown_connection(run: Run) -> None:
    """A connection the tenant does not have is refused."""
    reply = run(choose_by_connection(CREATE, "nowhere", user_id="x"))

    assert (400, "invalid_request", "Connection not found: nowhere") == read_refusal(
        reply
    )


def test_import_mode_connection(caller: Caller, run: Run) -> None:
    """A database in import mode only takes set_user_by_id."""
    caller.tenant.user_connections.change(DATABASE, import_mode=True)

    assert 400 == run(choose_by_connection(CREATE, user_id="x")).status


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda api: api.authentication.set_user_by_id(""), "fewer than 1"),
        (lambda api: api.authentication.set_user_by_id("x" * 513), "more than 512"),
        (lambda api: api.authentication.set_user_by_id(7), "must be string"),
        (lambda api: api.authentication.set_organization("o" * 51), "more than 50"),
        (lambda api: api.access.deny("c" * 1025, "r"), "more than 1024"),
        (lambda api: api.access.deny("c", "r" * 4097), "more than 4096"),
        (lambda api: api.access.deny("", "r"), "fewer than 1"),
        (
            lambda api: api.access.reject_invalid_subject_token("r" * 4097),
            "more than 4096",
        ),
        (lambda api: api.transaction.set_metadata("", "v"), "fewer than 1"),
        (lambda api: api.transaction.set_metadata("k", {}), "must be string"),
        (
            lambda api: api.authentication.set_user_by_connection(
                DATABASE, {"email": "x"}, CREATE
            ),
            "required property 'user_id'",
        ),
        (
            lambda api: api.authentication.set_user_by_connection(
                DATABASE, {"user_id": "x", **{str(n): n for n in range(24)}}, CREATE
            ),
            "more than 24 properties",
        ),
        (
            lambda api: api.authentication.set_user_by_connection(
                DATABASE, {"user_id": "x", "given_name": "n" * 151}, CREATE
            ),
            "given_name must NOT have more than 150",
        ),
        (
            lambda api: api.authentication.set_user_by_connection(
                DATABASE, {"user_id": "x"}, {"creationBehavior": "none"}
            ),
            "updateBehavior must be",
        ),
    ],
)
def test_argument_limits(
    run: Run, call: Callable[[ActionApi], None], complaint: str
) -> None:
    """An argument beyond Auth0's limits fails the Action, saying which."""
    status, error, description = read_refusal(run(lambda event, api: call(api)))

    assert (500, "server_error") == (status, error)
    assert complaint in description


def test_metadata_is_logged(caller: Caller, run: Run) -> None:
    """Metadata that an Action sets shows in the log."""

    def action(event: Event, api: ActionApi) -> None:
        api.transaction.set_metadata("tier", 3)
        choose_alice(api)

    run(action)

    assert {"tier": 3} == caller.tenant.logs[-1].metadata
