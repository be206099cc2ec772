"""Headless Chromium, and what a visitor of an example application does in it."""

from __future__ import annotations

import logging
import shutil
import tempfile
from typing import Any
from urllib.parse import quote

_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    # Only this machine may be asked anything.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost",
)


class Browser:
    """A browser with a fresh profile."""

    def __init__(self) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        # Its debug log has the tokens that tests paste, which are not the library's doing.
        logging.getLogger("selenium").setLevel(logging.WARNING)
        self._profile = tempfile.mkdtemp(prefix="auth0-tx-profile-")
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for argument in (*_ARGUMENTS, f"--user-data-dir={self._profile}"):
            options.add_argument(argument)
        # With a path, selenium does not download a driver.
        service = Service(shutil.which("chromedriver"))
        self._driver = webdriver.Chrome(options, service)
        self._driver.set_page_load_timeout(30)

    def close(self) -> None:
        """End the browser, and remove its profile."""
        self._driver.quit()
        shutil.rmtree(self._profile, ignore_errors=True)

    def clear(self) -> None:
        """Leave the page, and delete every cookie."""
        self._driver.get("about:blank")
        self._driver.execute_cdp_cmd("Network.clearBrowserCookies", {})

    @property
    def url(self) -> str:
        """The URL of the page."""
        return str(self._driver.current_url)

    def visit(self, url: str) -> None:
        """Go to a page."""
        self._driver.get(url)

    def go_back(self) -> None:
        """Go to the page before."""
        self._driver.back()

    def has_lost(self, element_id: str) -> bool:
        """Return whether an element is gone within 10 seconds."""
        from selenium.common.exceptions import TimeoutException

        try:
            self._wait(10, f"return document.getElementById('{element_id}') === null")
        except TimeoutException:
            return False
        return True

    def read_text(self, element_id: str) -> str | None:
        """Return the text of an element as a person sees it, or ``None``."""
        found = self._driver.find_elements("id", element_id)
        return found[0].text if found else None

    def read_page(self) -> str:
        """Return the text of the page as a person sees it."""
        return self._driver.find_element("tag name", "body").text

    def press(self, element_id: str) -> None:
        """Press a button, and wait for the page that it leads to."""
        self._driver.execute_script("window.isTheOldPage = true")
        self._driver.find_element("id", element_id).click()
        self._wait(
            30,
            "return !window.isTheOldPage && document.readyState === 'complete'",
        )

    def log_in(
        self, home: str, subject_token: str, actor_token: str | None = None
    ) -> None:
        """Open the login page of a site, paste tokens into its form, and send it."""
        self.visit(f"{home}login")
        self.send_login(subject_token, actor_token)

    def send_login(self, *tokens: str | None) -> None:
        """Paste tokens into the fields of the login page that is shown, and send them."""
        fields = self._driver.find_elements("tag name", "textarea")
        for field, token in zip(fields, tokens, strict=False):
            # Key by key, a token takes a second.
            script = "arguments[0].value = arguments[1]"
            self._driver.execute_script(script, field, token or "")
        self.press("login")

    def post_from_another_site(self, url: str, **fields: str) -> None:
        """Visit a page of another site that sends a form to *url*."""
        inputs = "".join(
            f"<input name='{name}' value='{value}'>" for name, value in fields.items()
        )
        form = f"<form method=post action='{url}'>{inputs}<button id=send></form>"
        self.visit(f"data:text/html,{quote(form)}")
        self.press("send")

    def list_cookies(self) -> dict[str, dict[str, Any]]:
        """Return all cookies of all sites by name, as DevTools shows them."""
        all_cookies = self._driver.execute_cdp_cmd("Storage.getCookies", {})["cookies"]
        return {cookie["name"]: cookie for cookie in all_cookies}

    def list_script_cookies(self) -> str:
        """Return the cookies that a script of the page can read."""
        return str(self._driver.execute_script("return document.cookie"))

    def _wait(self, seconds: float, script: str) -> None:
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver.support.wait import WebDriverWait

        # While a page changes, chromedriver raises errors of many kinds.
        waiting = WebDriverWait(
            self._driver, seconds, 0.05, ignored_exceptions=[WebDriverException]
        )
        waiting.until(lambda driver: driver.execute_script(script))
