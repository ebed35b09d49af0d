"""A real run in the browser: its numbers move, a worker that is killed is marked lost, its end is shown."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

from tests.system.apps import two_tasks

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from playwright.sync_api import Locator, Page

    from tests.system.conftest import Command

MONITOR = "ipc://monitor.ipc"


def count(found: Locator) -> int:
    return int((found.text_content() or "").replace(",", ""))


def test_a_run_is_watched_in_the_browser(
    command: Command, opened: Callable[..., AbstractContextManager[Page]]
) -> None:
    from playwright.sync_api import expect  # noqa: PLC0415 - where there is none, this is skipped

    # more than can be done: the run goes on until it is stopped
    command.write("app.py", two_tasks(execution="time.sleep(0.005)"))
    run = command.start("run", "app.py", "-w", "2", "--monitor-endpoint", MONITOR, env={"N": "1000000"})
    shown = command.start("dashboard", MONITOR, "--port", "0")
    url = shown.wait_for(r"^(http://\S+) shows the run")[0][1]
    with opened(url) as page:
        expect(page.locator("#phase")).to_have_text("running")
        first = page.locator("tr[data-task=first]")
        expect(first.locator(".badge")).to_have_text("running")
        expect(page.locator("tr[data-task=second] .badge")).to_have_text("waiting")
        expect(page.locator(".node[data-task=second] .state")).to_have_text("waiting")

        done = page.locator("[data-total=done] .value")
        expect(done).not_to_have_text("0")
        before = count(done)
        expect(done).not_to_have_text(f"{before:,}")
        assert count(done) > before
        expect(page.locator("[data-total=throughput] .value")).not_to_have_text("0/s")
        expect(page.locator("#throughput .curve")).to_have_count(1)

        # what the page says of a worker is enough to find its process
        workers = page.locator("tr[data-worker]", has_text="Does ").filter(has_text=re.compile("working"))
        expect(workers).to_have_count(2)
        victim = workers.first.get_attribute("data-worker")
        row = page.locator(f"tr[data-worker='{victim}']")
        os.kill(int(row.locator(".note").text_content() or ""), signal.SIGKILL)
        expect(row.locator(".badge")).to_have_text("lost")
        expect(row).to_have_attribute("data-state", "lost")
        expect(page.get_by_role("status")).to_contain_text("1 lost")
        # another one takes its place, and the work goes on
        expect(workers).to_have_count(2)
        after = count(done)
        expect(done).not_to_have_text(f"{after:,}")

        run.signal(signal.SIGINT)
        expect(page.get_by_role("status")).to_contain_text("The run has ended.")
        assert run.finish() == 130, run.output
    shown.signal(signal.SIGINT)
    assert shown.finish() == 130, shown.output
    assert shown.err == []
    command.assert_clean()
