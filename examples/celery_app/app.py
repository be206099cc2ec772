"""Exchange a user's token in a Celery task: the message has a handle, not the token.

    pip install "auth0-tx[celery]"
    python examples/celery_app/app.py

It starts a worker, sends it a few tasks and prints their results.  It needs a Redis for
messages, results and the vault: REDIS_URL, or the one on this machine.  Without settings it
runs with a local Auth0 tenant.  For your own tenant set AUTH0_DOMAIN, AUTH0_CLIENT_ID,
AUTH0_CLIENT_SECRET, AUTH0_AUDIENCE, AUTH0_TOKEN_TYPE and SUBJECT_TOKEN, a token to exchange.

The module is the application as well: celery -A app worker
"""

import os
import subprocess
import sys
from pathlib import Path

import redis
from celery import Celery

from auth0_tx import CustomTokenExchangeOptions, RetryPolicy, ServerClient
from auth0_tx.integrations.celery import (
    SubjectTokenVault,
    TokenExchangeTask,
    prepare_workers,
    refuse_tokens,
)

env, tenant = os.environ, None
if "AUTH0_DOMAIN" not in env:
    from auth0_tx.tenant import Tenant

    tenant = Tenant(tls=False).start()
    # The worker is another process, and finds the tenant in the environment.
    env["AUTH0_DOMAIN"] = tenant.domain
    env["AUTH0_CLIENT_ID"] = tenant.client_id
    env["AUTH0_CLIENT_SECRET"] = tenant.client_secret or ""
    env["AUTH0_AUDIENCE"] = "https://api.example.com"
REDIS_URL = env.get("REDIS_URL", "redis://localhost:6379/0")

app = Celery("auth0_tx_example", broker=REDIS_URL, backend=REDIS_URL)
app.conf.task_default_queue = f"auth0_tx_example:{env['AUTH0_DOMAIN']}"
app.conf.broker_connection_retry_on_startup = True
# From here on, a token as an argument of a task is refused before anything is sent.
refuse_tokens(app)

# One client for all tasks; worker processes inherit it, and make their own connections.  With
# one attempt, a wait that the server asks for delays the message and does not block the worker.
client = ServerClient(
    domain=env["AUTH0_DOMAIN"],
    client_id=env["AUTH0_CLIENT_ID"],
    client_secret=env["AUTH0_CLIENT_SECRET"],
    retry=RetryPolicy(attempts=1),
)
prepare_workers(client)
vault = SubjectTokenVault(
    redis.Redis.from_url(REDIS_URL), secret=env["AUTH0_CLIENT_SECRET"]
)


@app.task(base=TokenExchangeTask)
def fetch_report(handle):
    """Do slow work for a user, with a token of that user."""
    with vault.lend(handle) as subject_token:
        response = client.custom_token_exchange(
            CustomTokenExchangeOptions(
                subject_token=subject_token,
                subject_token_type=env.get("AUTH0_TOKEN_TYPE", "urn:acme:legacy-token"),
                audience=env["AUTH0_AUDIENCE"],
                scope="read:data",
            )
        )
    # Call your API with response.access_token here.
    return f"a token for {response.scope}, good for {response.expires_in} s"


def main():
    worker = subprocess.Popen(  # noqa: S603
        [
            *(sys.executable, "-m", "celery", "-A", "app", "worker"),
            *("--concurrency", "2", "--loglevel", "WARNING"),
        ],
        cwd=Path(__file__).parent,
    )
    try:
        for number in range(3):
            token = (
                tenant.subject_token("auth0|alice") if tenant else env["SUBJECT_TOKEN"]
            )
            handle = vault.put(token)
            print(f"task {number} is sent {handle[:8]}...", flush=True)
            print(f"task {number}:", fetch_report.delay(handle).get(timeout=60))
            if not tenant:
                break
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    # A task's name begins with its module's, which is __main__ here and app in the worker.
    sys.path.insert(0, str(Path(__file__).parent))
    import app as application

    application.tenant = tenant
    application.main()
