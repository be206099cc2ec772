"""The Celery application and its tasks."""

import os
from pathlib import Path

from celery import Celery
from django.core.cache import cache
from django.utils import timezone

from auth0_tx import CustomTokenExchangeOptions
from auth0_tx.integrations.celery import (
    TokenExchangeTask,
    prepare_workers,
    refuse_tokens,
)
from auth0_tx.integrations.django import DjangoDatabaseVault, get_client

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

app = Celery("example")
app.config_from_object("django.conf:settings", namespace="CELERY")
# From here on, a token in a message or a result is refused.
refuse_tokens(app)
# The function, as Django is not set up yet: it is called when a worker starts.
prepare_workers(get_client)


def open_vault():
    """Return the vault, in Django's database; sealed with the secret of AUTH0_TX."""
    return DjangoDatabaseVault()


@app.task(base=TokenExchangeTask, name="make_report")
def make_report(handle):
    """Do slow work for a user, with a token of that user."""
    with open_vault().lend(handle) as subject_token:
        response = exchange(subject_token)
    # Call your API with response.access_token here.
    return f"a report, made with a token for {response.scope}"


@app.task(base=TokenExchangeTask, name="refresh_prices")
def refresh_prices():
    """Do what nobody has asked for, with a token of the machine's own."""
    # Read at each run: whoever issues it replaces it before it expires.
    machine_token = Path(os.environ["MACHINE_TOKEN_FILE"]).read_text().strip()
    response = exchange(machine_token)
    # Call your API with response.access_token here.
    cache.set("prices", f"{timezone.now():%H:%M:%S}, with a token for {response.scope}")


def exchange(subject_token):
    return get_client().custom_token_exchange(
        CustomTokenExchangeOptions(
            subject_token=subject_token,
            subject_token_type=os.environ.get(
                "AUTH0_TOKEN_TYPE", "urn:acme:legacy-token"
            ),
            audience=os.environ["AUTH0_AUDIENCE"],
            scope="read:data",
        )
    )
