"""A bulk exchange by real workers: each row once, and nothing lost, whatever dies."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
import redis

from auth0_tx import (
    BulkExchangeResult,
    ConfigurationError,
    CustomTokenExchangeOptions,
    IdTokenError,
    InvalidInputError,
    NotSentError,
    ServerClient,
    TokenExchangeResponse,
)
from auth0_tx.integrations.celery import BulkExchangeTasks
from auth0_tx.integrations.celery.bulk_rows import (
    format_options,
    format_result,
    parse_options,
    parse_result,
)
from auth0_tx.tenant import faults
from tests.integrations.celery.conftest import Worker

PREFORK = ("--pool", "prefork", "--concurrency", "2")


@pytest.fixture(scope="module")
def worker(worker_on: Callable[..., Any], amqp_url: str) -> Iterator[Worker]:
    """Return a worker with two processes, whose pace is 40 rows a second."""
    with worker_on(amqp_url, *PREFORK, rate=40.0) as worker:
        yield worker


class Rows:
    """Rows with a token of their own each, and their outcomes."""

    def __init__(self, worker: Worker, keys: Iterable[str]) -> None:
        self.worker = worker
        self.keys = list(keys)
        self.tokens = [worker.tenant.subject_token("auth0|alice") for _ in self.keys]
        worker.tenant.clear()

    def __iter__(self) -> Iterator[tuple[str, CustomTokenExchangeOptions]]:
        for key, token in zip(self.keys, self.tokens, strict=True):
            yield key, self.worker.module.options(token)

    @property
    def outcomes(self) -> list[list[str]]:
        """What was kept for each row, in the order of the rows."""
        module = self.worker.module
        place = self.worker.told["prefix"] + "outcomes:"
        return [module.outcomes.lrange(place + key, 0, -1) for key in self.keys]

    @property
    def sends(self) -> Counter[str]:
        """How often the tenant saw each token."""
        seen = (
            parse_qs(request.body.decode())["subject_token"][0]
            for request in self.worker.tenant.requests
            if request.path == "/oauth/token"
        )
        return Counter(token for token in seen if token in set(self.tokens))


def make_keys(name: str, number: int) -> list[str]:
    return [f"{name}-{index}" for index in range(number)]


def test_each_row_once(worker: Worker) -> None:
    """Each row is sent once, and its own outcome kept once; reports add up."""
    rows = Rows(worker, make_keys("once", 60))
    reports = worker.module.bulk.send(rows, batch=20).get(timeout=60)

    assert [{"exchanged": 20, "failed": 0, "ambiguous": 0}] * 3 == [
        {name: report[name] for name in ("exchanged", "failed", "ambiguous")}
        for report in reports
    ]
    assert [(None, [])] * 3 == [
        (report["stopped"], report["left"]) for report in reports
    ]
    assert [1] * 60 == [len(outcome) for outcome in rows.outcomes]
    assert 60 == len({outcome for (outcome,) in rows.outcomes})
    assert dict.fromkeys(rows.tokens, 1) == rows.sends


def test_no_token_in_redis(worker: Worker) -> None:
    """Neither the message nor the rows in Redis have a token that anybody can read."""
    rows = Rows(worker, make_keys("sealed", 3))
    worker.module.bulk.send(rows).get(timeout=60)
    with redis.Redis.from_url(worker.told["redis"]) as connection:
        everything = b"".join(
            connection.dump(key)
            for key in connection.scan_iter(match=f"*{worker.told['prefix']}*")
        )

    assert [] == [token for token in rows.tokens if token.encode() in everything]
    assert [] == [token for token in rows.tokens if token in worker.output()]


def test_final_failure(worker: Worker) -> None:
    """The error of a row that is refused is its outcome, and the others go on."""
    rows = Rows(worker, make_keys("refused", 5))
    worker.tenant.inject(
        faults.status(400, body={"error": "invalid_request"}), path="/oauth/token"
    )
    (report,) = worker.module.bulk.send(rows).get(timeout=60)

    assert (4, 1) == (report["exchanged"], report["failed"])
    assert 1 == sum(["RefusedError"] == outcome for outcome in rows.outcomes)


def test_outcome_that_cannot_be_kept(worker: Worker) -> None:
    """If the application fails to keep a result, it gets it again, without another exchange."""
    rows = Rows(worker, ["unkept-0", *make_keys("kept", 3)])
    (report,) = worker.module.bulk.send(rows).get(timeout=90)

    assert 4 == report["exchanged"]
    assert [1] * 4 == [len(outcome) for outcome in rows.outcomes]
    assert dict.fromkeys(rows.tokens, 1) == rows.sends


def test_worker_that_dies(worker: Worker) -> None:
    """Rows of a process that was killed are ambiguous or exchanged, and none is sent twice."""
    rows = Rows(worker, ["deadly-0", *make_keys("alive", 11)])
    (report,) = worker.module.bulk.send(rows).get(timeout=90)

    # Those that the process had kept before it died are in no report.
    assert report["exchanged"] + report["ambiguous"] <= 12
    assert [1] * 12 == [len(outcome) for outcome in rows.outcomes]
    assert ["AmbiguousError"] == rows.outcomes[0]
    assert 1 == max(rows.sends.values())


def test_one_pace(worker: Worker) -> None:
    """Batches that run at once in two processes keep the one rate together."""
    rows = Rows(worker, make_keys("paced", 80))
    worker.module.bulk.send(rows, batch=40).get(timeout=60)
    moments = sorted(
        request.received_at
        for request in worker.tenant.requests
        if request.path == "/oauth/token"
    )

    assert 80 == len(moments)
    # 79 steps of a fortieth of a second; the last may have been quick and the first slow.
    assert moments[-1] - moments[0] > 1.7
    # Any second has about forty, with what the machine adds to the first of them.
    assert (
        max(sum(start <= other < start + 1.0 for other in moments) for start in moments)
        <= 50
    )


ROWS = [
    CustomTokenExchangeOptions(subject_token="a-token", subject_token_type="urn:a:b"),
    CustomTokenExchangeOptions(
        subject_token="a-token",
        subject_token_type="urn:a:b",
        audience="https://api.example.com",
        scope="openid",
        actor_token="an-actor",
        actor_token_type="urn:a:c",
        organization="org_1",
        authorization_params={"tenant": "é"},
        subject_token_reusable=True,
    ),
]
RESULTS = [
    BulkExchangeResult(
        index=0, response=TokenExchangeResponse(access_token="a", token_type="Bearer")
    ),
    BulkExchangeResult(
        index=0,
        response=TokenExchangeResponse(
            access_token="a",
            token_type="Bearer",
            expires_in=5,
            scope="openid",
            id_token="an.id.token",
            refresh_token="r",
            act={"sub": "b", "act": {"sub": "c"}},
            expires_at=7,
        ),
    ),
]


@pytest.mark.parametrize("row", ROWS)
def test_options_survive(row: CustomTokenExchangeOptions) -> None:
    """Options that were sealed are the same afterwards."""
    assert row == parse_options(format_options(row))


@pytest.mark.parametrize("result", RESULTS)
def test_responses_survive(result: BulkExchangeResult) -> None:
    """A response that was sealed is the same afterwards."""
    assert result == parse_result(format_result(result))


def test_errors_survive() -> None:
    """Errors that were sealed have their type and their arguments afterwards."""
    error = NotSentError("no", "timeout", retry_safe=True, retry_after=3.0)
    act_error = IdTokenError("bad", "invalid_id_token")
    response = TokenExchangeResponse(
        access_token="a", token_type="Bearer", act_error=act_error
    )
    again = parse_result(format_result(BulkExchangeResult(index=0, error=error))).error
    with_act = parse_result(
        format_result(BulkExchangeResult(index=0, response=response))
    )

    assert (NotSentError, error.args) == (type(again), again.args if again else None)
    assert with_act.response is not None
    assert act_error.args == with_act.response.act_error.args  # type: ignore[union-attr]


def test_rows_of_another_kind(worker: Worker) -> None:
    """What is not a pair of a key and options is refused, and the rows before it are told."""
    good = Rows(worker, make_keys("good", 4))
    rows: list[Any] = [*good, ("bad", "a-token")]
    with pytest.raises(InvalidInputError) as refused:
        worker.module.bulk.send(rows, batch=2)

    assert "rows" == refused.value.parameter
    assert ["the first 4 rows were sent"] == refused.value.__notes__
    until = time.monotonic() + 30
    while not all(good.outcomes) and time.monotonic() < until:
        time.sleep(0.02)
    assert [1] * 4 == [len(outcome) for outcome in good.outcomes]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("keep", None),
        ("client", "a-client"),
        ("redis", "redis://"),
        ("secret", "short"),
        ("rate", 0),
        ("concurrency", 0),
        ("ttl", 0),
    ],
)
def test_bad_arguments(worker: Worker, parameter: str, value: object) -> None:
    """An argument that breaks a rule is refused by its name."""
    given: dict[str, Any] = {
        "keep": print,
        "client": ServerClient(
            domain="tenant.auth0.com", client_id="c", client_secret="s" * 16
        ),
        "redis": redis.Redis(),
        "secret": "of the rows, and 32 characters long!",
        "rate": 4.0,
        parameter: value,
    }
    with pytest.raises((ConfigurationError, InvalidInputError)) as refused:
        BulkExchangeTasks(worker.app, **given)

    assert parameter == refused.value.parameter


# The last one, as the pace of this worker pauses afterwards.
def test_block_stops_everybody(worker: Worker) -> None:
    """After a block no row is sent; the report has what is left, which can be sent later."""
    rows = Rows(worker, make_keys("blocked", 40))
    worker.tenant.inject(
        faults.status(429, body={"error": "too_many_attempts"}),
        path="/oauth/token",
        times=40,
    )
    reports = worker.module.bulk.send(rows, batch=40).get(timeout=60)
    sent_at_block = rows.sends.total()
    stopped, left = reports[0]["stopped"], len(reports[0]["left"])

    assert "too_many_attempts" == stopped
    assert 40 == left
    assert sent_at_block <= 5
    assert [0] * 40 == [len(outcome) for outcome in rows.outcomes]
