"""One table, both worlds: the same bytes on the wire, and the same ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from auth0_tx import (
    CustomTokenExchangeError,
    MfaRequiredError,
    TokenExchangeResponse,
)
from auth0_tx.tenant import Tenant
from tests.e2e.parity.playing import (
    Clock,
    Recording,
    normalize_outcome,
    normalize_request,
    play,
    read_claims,
)
from tests.e2e.parity.scenarios import Fails, Scenario, Tokens
from tests.e2e.parity.scenarios_granted import SUCCESSES
from tests.e2e.parity.scenarios_refused import REFUSALS
from tests.e2e.parity.scenarios_signed import SIGNED

SCENARIOS = SUCCESSES + SIGNED + REFUSALS


@pytest.mark.parametrize(
    "scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS]
)
def test_both_worlds_do_the_same(
    scenario: Scenario, new_tenant: Callable[..., Tenant], clock: Clock
) -> None:
    """Both clients send the same requests, and end as the table says, to the same word."""
    tenant = new_tenant(**scenario.tenant)
    played = play(scenario, tenant, clock)
    blocking = played["blocking"]

    for recording in played.values():
        check_ends(scenario, recording)
        assert list(map(normalize_request, blocking.requests)) == list(
            map(normalize_request, recording.requests)
        )
        assert list(map(normalize_outcome, blocking.outcomes)) == list(
            map(normalize_outcome, recording.outcomes)
        )
        assert blocking.connections == recording.connections


def check_ends(scenario: Scenario, played: Recording) -> None:
    """Assert that *played* is what the table says."""
    assert scenario.paths == tuple(request.path for request in played.requests)
    assert len(scenario.ends) == len(played.outcomes)
    for end, outcome in zip(scenario.ends, played.outcomes, strict=True):
        if isinstance(end, Fails):
            assert isinstance(outcome, CustomTokenExchangeError)
            check_error(end, outcome)
        else:
            assert isinstance(outcome, TokenExchangeResponse)
            check_tokens(end, outcome)


def check_tokens(expected: Tokens, tokens: TokenExchangeResponse) -> None:
    """Assert that *tokens* are what was expected."""
    error = tokens.act_error

    assert "Bearer" == tokens.token_type
    assert expected.scope == tokens.scope
    assert expected.id_token == (tokens.id_token is not None)
    assert expected.refresh_token == (tokens.refresh_token is not None)
    assert expected.act == tokens.act
    assert expected.act_error == (None if error is None else (type(error), error.code))
    if expected.claims:
        claims = read_claims(tokens.access_token)
        assert isinstance(claims, dict)
        assert {**claims, **expected.claims} == claims


def check_error(expected: Fails, error: CustomTokenExchangeError) -> None:
    """Assert that *error* is what was expected."""
    assert expected.error is type(error)
    assert expected.code == error.code
    assert expected.status == error.status
    assert expected.retry_safe == error.retry_safe
    assert expected.retry_after == error.retry_after
    assert expected.says in error.message
    assert (expected.hints is None) == (error.hint is None)
    assert (expected.hints or "") in (error.hint or "")
    if isinstance(error, MfaRequiredError):
        assert error.mfa_token
