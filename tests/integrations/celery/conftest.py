"""Workers in their own processes, one for each broker and pool, and their configuration."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import attrs
import kombu
import pytest
import redis

from auth0_tx.tenant import Certificates, KeySupply, Tenant

ROOT = Path(__file__).parents[3]
APP = "tests.integrations.celery.worker_app"


@attrs.frozen
class Worker:
    """A worker, and the tenant that its tasks ask."""

    tenant: Tenant
    app: Any
    module: Any
    told: dict[str, Any]
    log: Path
    process: subprocess.Popen[bytes]

    def output(self) -> str:
        """Return all that the worker has written."""
        return self.log.read_text()


def make_settings(tenant: Tenant) -> dict[str, Any]:
    """Return the keywords of the tenant's client."""
    return {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
    }


@pytest.fixture(scope="session")
def worker_on(
    auth0_tenant_keys: KeySupply,
    auth0_tenant_certificates: Certificates,
    redis_url: str,
) -> Callable[..., Any]:
    """Start workers for one test."""

    @contextmanager
    def start(
        broker: str, *pool: str, start_method: str = "fork", **more: Any
    ) -> Iterator[Worker]:
        with Tenant(
            keys=auth0_tenant_keys, certificates=auth0_tenant_certificates
        ) as tenant:
            told = {
                "settings": make_settings(tenant),
                "broker": broker,
                "backend": redis_url,
                "redis": redis_url,
                "start_method": start_method,
                **more,
                "queue": f"auth0_tx-test-{token_hex(8)}",
                "prefix": f"auth0_tx-test:{token_hex(8)}:",
            }
            with _start_worker(told, pool) as worker:
                yield attrs.evolve(worker, tenant=tenant)
            _clear(worker, redis_url)

    return start


@contextmanager
def _start_worker(told: dict[str, Any], pool: tuple[str, ...]) -> Iterator[Worker]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "worker.log"
        env = {
            **os.environ,
            "AUTH0_TX_TEST_WORKER": json.dumps(told),
            "PYTHONPATH": str(ROOT),
        }
        with log.open("w") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "celery", "-A", APP, "worker"),
                    *("--loglevel", "DEBUG", "--events", "--without-gossip"),
                    *("--without-mingle", "-n", f"{told['queue']}@%h", *pool),
                ],
                env=env,
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        module = _import_app(told)
        # A result unsubscribes when it is collected, if need be over a new connection, which
        # nobody closes where the result is a part of another one and is collected late.
        module.app.backend.result_consumer.cancel_for = lambda task_id: None
        worker = Worker(None, module.app, module, told, log, process)  # type: ignore[arg-type]
        try:
            until = time.monotonic() + 60
            while " ready." not in worker.output():
                assert process.poll() is None, worker.output()
                assert time.monotonic() < until, worker.output()
                time.sleep(0.05)
            yield worker
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            module.app.close()


def _import_app(told: dict[str, Any]) -> Any:
    """Import the application once more, for this worker's broker and queue."""
    import importlib.util

    os.environ["AUTH0_TX_TEST_WORKER"] = json.dumps(told)
    try:
        spec = importlib.util.find_spec(APP)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        del os.environ["AUTH0_TX_TEST_WORKER"]
    return module


def _clear(worker: Worker, redis_url: str) -> None:
    with worker.app.connection_for_write() as connection:
        kombu.Queue(worker.told["queue"])(connection.channel()).delete()
    with redis.Redis.from_url(redis_url) as connection:
        for pattern in (f"{worker.told['prefix']}*", f"*{worker.told['queue']}*"):
            for key in connection.scan_iter(match=pattern, count=1000):
                connection.delete(key)
