"""Clients are prepared when a worker's processes start, and closed when they end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import signals

from auth0_tx import (
    ClientClosedError,
    ConfigurationError,
    CustomTokenExchangeOptions,
    ServerClient,
)
from auth0_tx.integrations.celery import prepare_workers
from auth0_tx.tenant import Tenant
from tests.integrations.celery.conftest import make_settings

SIGNALS = (
    signals.worker_init,
    signals.worker_process_init,
    signals.worker_process_shutdown,
    signals.worker_shutdown,
)


@pytest.fixture(autouse=True)
def receivers() -> Iterator[None]:
    """Restore the receivers of Celery's signals after each test."""
    before = [list(signal.receivers or ()) for signal in SIGNALS]
    yield
    for signal, receivers in zip(SIGNALS, before, strict=True):
        signal.receivers = receivers


def count_fetches(tenant: Tenant) -> int:
    """Return how often the tenant's metadata was fetched."""
    return tenant.count("/.well-known/openid-configuration")


def test_several_clients(auth0_tenant: Tenant) -> None:
    """Each client is prepared and closed, also one that a function returns."""
    settings = make_settings(auth0_tenant)
    one, other = ServerClient(**settings), ServerClient(**settings)
    prepare_workers(one, lambda: other)
    assert 0 == count_fetches(auth0_tenant)

    signals.worker_process_init.send(sender=None)
    assert 2 == count_fetches(auth0_tenant)

    signals.worker_process_shutdown.send(sender=None)
    for client in (one, other):
        with pytest.raises(ClientClosedError):
            client.prepare()


def test_workers_in_one_process(auth0_tenant: Tenant) -> None:
    """A client serves one embedded worker after another, as Celery's ``start_worker`` has them."""
    with ServerClient(**make_settings(auth0_tenant)) as client:
        prepare_workers(client)
        for _ in range(2):
            signals.worker_init.send(sender=None)
            response = client.custom_token_exchange(
                CustomTokenExchangeOptions(
                    subject_token=auth0_tenant.subject_token("auth0|alice"),
                    subject_token_type="urn:acme:legacy-token",
                )
            )
            assert response.access_token
            signals.worker_shutdown.send(sender=None)


def test_tenant_is_down(auth0_tenant: Tenant, caplog: pytest.LogCaptureFixture) -> None:
    """A tenant that can't be reached is logged, and the next client is prepared."""
    away = ServerClient(
        domain="localhost:1", client_id="a", client_secret="b", timeout=1
    )
    client = ServerClient(**make_settings(auth0_tenant))
    prepare_workers(away, client)
    signals.worker_init.send(sender=None)
    signals.worker_shutdown.send(sender=None)

    assert "could not prepare the client" in caplog.text
    assert 1 == count_fetches(auth0_tenant)


@pytest.mark.parametrize("clients", [(), (None,), ("client",)])
def test_wrong_clients(clients: tuple[Any, ...]) -> None:
    """What is not a client is refused where it is given."""
    with pytest.raises(ConfigurationError) as refused:
        prepare_workers(*clients)

    assert "clients" == refused.value.parameter
