"""The tenant's documents are fetched once for all who wait, also when that fails."""

from __future__ import annotations

from collections import Counter

import pytest

from auth0_tx import (
    AsyncServerClient,
    CustomTokenExchangeError,
    RetryPolicy,
    ServerClient,
    TokenExchangeResponse,
)
from tests.e2e.concurrency.volume import (
    KEYS,
    METADATA,
    VolumeIssuer,
    in_tasks,
    in_threads,
    options,
)

CALLERS = 32
ONE_ATTEMPT = RetryPolicy(attempts=1)


def kind(outcome: TokenExchangeResponse | CustomTokenExchangeError) -> str:
    """Name what a caller got."""
    if isinstance(outcome, CustomTokenExchangeError):
        return f"{type(outcome).__name__}, {outcome.status}"
    if outcome.act_error is not None:
        return f"tokens, {type(outcome.act_error).__name__}"
    return f"tokens, {outcome.act}"


def outcomes_of_threads(issuer: VolumeIssuer) -> Counter[str]:
    """Exchange in as many threads on a new client; count what came of it."""
    with ServerClient(**issuer.settings(retry=ONE_ATTEMPT)) as client:

        def outcome(thread: int) -> TokenExchangeResponse | CustomTokenExchangeError:
            try:
                return client.custom_token_exchange(options(f"{thread}", "actor"))
            except CustomTokenExchangeError as error:
                return error

        return Counter(map(kind, in_threads(CALLERS, outcome)))


async def outcomes_of_tasks(issuer: VolumeIssuer) -> Counter[str]:
    """Do the same in as many tasks."""
    async with AsyncServerClient(**issuer.settings(retry=ONE_ATTEMPT)) as client:

        async def outcome(
            task: int,
        ) -> TokenExchangeResponse | CustomTokenExchangeError:
            try:
                return await client.custom_token_exchange(options(f"{task}", "actor"))
            except CustomTokenExchangeError as error:
                return error

        return Counter(map(kind, await in_tasks(CALLERS, outcome)))


FAILING = [
    # Who caused the failed fetch learns of it; one of those who waited tries once more.
    (METADATA, 1, {"DiscoveryError, 503": 1, "tokens, {'sub': 'actor'}": CALLERS - 1}),
    (METADATA, 99, {"DiscoveryError, 503": CALLERS}),
    # The tokens are issued by then, and are not lost to a key that cannot be had.
    (KEYS, 1, {"tokens, SigningKeyError": 1, "tokens, {'sub': 'actor'}": CALLERS - 1}),
    (KEYS, 99, {"tokens, SigningKeyError": CALLERS}),
]


@pytest.mark.parametrize(("path", "failures", "expected"), FAILING)
def test_failing_fetch_in_threads(
    issuer: VolumeIssuer, path: str, failures: int, expected: dict[str, int]
) -> None:
    """However many threads wait, a fetch that fails is tried once more, by one of them."""
    issuer.tell(delay={path: 0.6}, failing={path: failures})
    outcomes = outcomes_of_threads(issuer)

    assert expected == outcomes
    assert 2 == issuer.record().count(path)


@pytest.mark.parametrize(("path", "failures", "expected"), FAILING)
async def test_failing_fetch_in_tasks(
    issuer: VolumeIssuer, path: str, failures: int, expected: dict[str, int]
) -> None:
    """However many tasks wait, a fetch that fails is tried once more, by one of them."""
    issuer.tell(delay={path: 0.6}, failing={path: failures})
    outcomes = await outcomes_of_tasks(issuer)

    assert expected == outcomes
    assert 2 == issuer.record().count(path)
