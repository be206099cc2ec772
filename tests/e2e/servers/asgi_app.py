"""A FastAPI application with a token cache in Redis, for uvicorn's workers."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio
from fastapi import FastAPI, Request

from auth0_tx import AsyncServerClient, CustomTokenExchangeOptions
from auth0_tx.caches import RedisTokenCache
from auth0_tx.integrations.fastapi import Auth0, auth0_lifespan

told: dict[str, Any] = json.loads(os.environ["AUTH0_TX_TEST_SITE"])
settings: dict[str, Any] = told["keywords"]
connection = redis.asyncio.Redis.from_url(told["redis"])
if told["cached"]:
    settings["token_cache"] = RedisTokenCache(
        connection, prefix=told["prefix"], timeout=20
    )


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Close the connections to Redis at the end."""
    async with connection:
        yield


app = FastAPI(lifespan=auth0_lifespan(AsyncServerClient(**settings), lifespan))


@app.post("/exchange")
async def exchange(request: Request, auth0: Auth0) -> dict[str, Any]:
    """Exchange a token; return the process id and the token."""
    response = await auth0.client.custom_token_exchange(
        CustomTokenExchangeOptions(
            subject_token=(await request.body()).decode(),
            subject_token_type="urn:acme:legacy-token",
            audience="https://api.example.com",
        )
    )
    return {"pid": os.getpid(), "token": response.access_token}
