"""Tools for tests as users write them: read by mypy and pyright, never run."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import Any, assert_type

from django.test import AsyncClient, Client
from fastapi.testclient import TestClient
from flask import Flask

from auth0_tx import ServerClient, UserClaims
from auth0_tx.tenant import Tenant
from auth0_tx.testing import MovableClock, alogin, login


def log_in(app: Flask, browser: TestClient, tenant: Tenant) -> None:
    """Log in to applications of several frameworks."""
    assert_type(login(Client(), "auth0|alice"), UserClaims)
    login(app.test_client(), {"sub": "auth0|alice"}, expires_in=60)
    login(browser, "auth0|alice", access_tokens={"https://api": "a b"}, name="orders")
    login(browser, "auth0|alice", tenant=tenant)
    login(browser)  # type: ignore[call-arg]
    login(browser, 7)  # type: ignore[arg-type]
    login(browser, "auth0|alice", access_tokens=["a"])  # type: ignore[arg-type]


async def log_in_async() -> None:
    """Log in where requests are awaited."""
    assert_type(await alogin(AsyncClient(), "auth0|alice"), UserClaims)


def move(clock: MovableClock, tenant: Tenant) -> ServerClient:
    """Let time pass."""
    assert_type(tenant.client_settings, dict[str, Any])
    clock.move(3600)
    clock.move("an hour")  # type: ignore[arg-type]
    assert_type(clock(), float)
    return ServerClient(**tenant.client_settings, clock=clock)
