"""A browser, if there is one: Debian's chromium, driven by Playwright. Nothing is downloaded."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

#: no test waits longer for an event, in seconds
GUARD = 40.0


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip(
        "playwright.sync_api", reason="the browser is driven by playwright, which is missing"
    )
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    api.expect.set_options(timeout=GUARD * 1000)
    with api.sync_playwright() as playwright:
        # the sandbox is not for root, and all that is opened here is ours
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


@pytest.fixture
def opened(browser: Browser) -> Callable[..., AbstractContextManager[Page]]:
    """Open pages; what the browser complains of, or asks of others than the page's server, is an error."""

    @contextmanager
    def open_page(url: str, *, complains: bool = False, **options: Any) -> Iterator[Page]:
        context = browser.new_context(
            viewport={"width": 1280, "height": 900}, timezone_id="UTC", locale="en-GB", **options
        )
        page = context.new_page()
        page.set_default_timeout(GUARD * 1000)
        complaints: list[str] = []

        def on_console(said: ConsoleMessage) -> None:
            if said.type == "error":
                complaints.append(said.text)

        def on_request(asked: Request) -> None:
            if not asked.url.startswith(url):
                complaints.append(asked.url)

        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", on_console)
        page.on("request", on_request)
        page.goto(url)
        try:
            yield page
        finally:
            context.close()
        assert complains or complaints == []

    return open_page
