"""A Flask application with a token cache in Redis, for gunicorn to preload and fork."""

from __future__ import annotations

import json
import os
from typing import Any

import redis
from flask import Flask, request

from auth0_tx import CustomTokenExchangeOptions
from auth0_tx.caches import RedisTokenCache
from auth0_tx.integrations.flask import Auth0TX, current_auth0

told: dict[str, Any] = json.loads(os.environ["AUTH0_TX_TEST_SITE"])
app = Flask(__name__)
app.config.update(told["settings"])
if told["cached"]:
    app.config["AUTH0_TX_TOKEN_CACHE"] = RedisTokenCache(
        redis.Redis.from_url(told["redis"]), prefix=told["prefix"], timeout=20
    )
auth0 = Auth0TX(app)
# Used before the fork, as a preloaded application may be.
auth0.client_of(app).prepare()


@app.post("/exchange")
def exchange() -> dict[str, Any]:
    """Exchange a token; return the process id and the token."""
    response = current_auth0.client.custom_token_exchange(
        CustomTokenExchangeOptions(
            subject_token=request.get_data(as_text=True),
            subject_token_type="urn:acme:legacy-token",
            audience="https://api.example.com",
        )
    )
    return {"pid": os.getpid(), "token": response.access_token}
