"""The example of Django with Celery, as its reader starts it: without settings."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.examples.running_app import RunningApp

pytestmark = pytest.mark.browser


@pytest.fixture
def app(redis_url: str, tmp_path: Path) -> Iterator[RunningApp]:
    """The site, with its worker and beat."""
    app = RunningApp("django_celery_app", tmp_path / "output", {"REDIS_URL": redis_url})
    yield app
    # It ends its worker, which ends with the tasks that it runs.
    app.interrupt()
    app.close()


def find(page: str, id: str) -> str:
    """Return the text of the element with an id, or an empty one."""
    found = re.search(rf'id="{id}"[^>]*>([^<]*)', page)
    return html.unescape(found[1]) if found else ""


def wait_for(app: RunningApp, address: str, id: str, text: str) -> str:
    """Reload a page until an element of it has a text; return the page."""
    until = time.monotonic() + 90
    while True:
        page = requests.get(address, timeout=30).text
        if text in find(page, id):
            return page
        assert "FAILURE" not in page, app.output
        assert time.monotonic() < until, f"{page}\n{app.output}"
        time.sleep(0.3)


def test_django_celery_example(app: RunningApp) -> None:
    """A user's report is made by a worker, prices are refreshed, and no token is printed."""
    with requests.Session() as browser:
        page = browser.get(app.home, timeout=30).text
        form = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert form is not None
        sent = browser.post(
            f"{app.home}reports",
            data={
                "csrfmiddlewaretoken": form[1],
                "subject_token": find(page, "alice"),
            },
            timeout=30,
        )
        assert "/reports/" in sent.url
        page = wait_for(app, sent.url, "state", "SUCCESS")
        assert "a report, made with a token for read:data" == find(page, "report")
        wait_for(app, app.home, "prices", "with a token for read:data")

    assert "eyJ" not in app.output
    assert "Traceback" not in app.output
