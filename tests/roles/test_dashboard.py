"""What the dashboard's server answers, to whom, and how it ends."""

from __future__ import annotations

import math
import re
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from .dashboards import Dashboard
from .snapshots import NOW, make_failure, make_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = sorted(
    file.name for file in resources.files("zmqpipeline.monitor.dashboard").joinpath("static").iterdir()
)


@pytest.fixture
def dashboard(descriptors: None) -> Iterator[Dashboard]:
    with Dashboard() as made:
        yield made


@pytest.fixture(scope="module")
def served() -> Iterator[Dashboard]:
    """Make one dashboard for all tests that only ask."""
    with Dashboard() as made:
        made.tell(make_snapshot())
        yield made


# -- what there is ------------------------------------------------------------


def test_the_page_and_what_it_needs_are_there(served: Dashboard) -> None:
    types = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    assert {"page.html", "page.css", "page.js", "icon.svg"} <= set(FILES)
    for name in FILES:
        with served.ask("/" if name == "page.html" else f"/{name}") as answer:
            assert answer.status == 200, name
            assert answer.headers.get_content_type() == types[name.rpartition(".")[2]]
            text = answer.text()
        # a namespace is a name, not an address that is asked for
        foreign = re.findall(r"https?://(?!www\.w3\.org/2000/svg)[^\s\"')]*", text)
        assert foreign == [], name
        for reference in re.findall(r"""(?:href|src)="([^"#]+)"|from "\./([^"]+)";""", text):
            assert "".join(reference) in {*FILES, "snapshot.json"}, (name, reference)


@pytest.mark.parametrize(
    "path", ["/page.html", "/app.py", "/static/page.js", "/../app.py", "/%2e%2e/app.py", "/x"]
)
def test_there_is_nothing_else(served: Dashboard, path: str) -> None:
    with served.ask(path) as answer:
        assert answer.status == 404


def test_the_last_snapshot_is_there_as_json(dashboard: Dashboard) -> None:
    with dashboard.ask("/snapshot.json") as answer:
        assert (answer.status, answer.json()) == (503, {"error": "no distributor has answered yet"})
    for number in (1, 2):
        dashboard.tell(make_snapshot(acknowledged=number))
    with dashboard.ask("/snapshot.json") as answer:
        assert (answer.status, answer.json()) == (200, make_snapshot(acknowledged=2))


def test_what_is_no_json_number_is_null(dashboard: Dashboard) -> None:
    dashboard.tell(make_snapshot(rate=math.nan, latency=math.inf))
    with dashboard.ask("/snapshot.json") as answer:
        assert answer.json() == make_snapshot(rate=None, latency=None)


def test_the_points_of_the_plots_are_there(dashboard: Dashboard) -> None:
    dashboard.tell(make_snapshot(rate=1.0, latency=None))
    dashboard.tell(None)
    dashboard.tell(make_snapshot(time=NOW + 9, rate=2.0, latency=0.5))
    with dashboard.ask("/history.json") as answer:
        assert answer.json() == [[NOW, 1.0, None], [NOW, None, None], [NOW + 9, 2.0, 0.5]]


# -- events -------------------------------------------------------------------


def test_a_page_hears_what_comes(dashboard: Dashboard) -> None:
    with dashboard.ask("/events") as answer:
        assert answer.headers.get_content_type() == "text/event-stream"
        assert answer.event() == ("gone", {"since": None, "why": "", "snapshot": None})
        for number in range(3):
            dashboard.tell(make_snapshot(acknowledged=number))
            assert answer.event() == ("snapshot", make_snapshot(acknowledged=number))


def test_a_page_that_is_opened_late_hears_the_last_at_once(dashboard: Dashboard) -> None:
    for number in range(3):
        dashboard.tell(make_snapshot(acknowledged=number))
    with dashboard.ask("/events") as answer:
        assert answer.event() == ("snapshot", make_snapshot(acknowledged=2))


def test_a_page_hears_that_the_distributor_is_gone_and_back(dashboard: Dashboard) -> None:
    dashboard.tell(make_snapshot())
    with dashboard.ask("/events") as answer:
        answer.event()
        dashboard.tell(None, "nobody is there")
        name, data = answer.event()
        assert name == "gone"
        assert data["since"] > 0
        assert (data["why"], data["snapshot"]) == ("nobody is there", make_snapshot())
        dashboard.tell(make_snapshot(acknowledged=7))
        assert answer.event() == ("snapshot", make_snapshot(acknowledged=7))


def test_a_run_that_has_ended_is_not_gone(dashboard: Dashboard) -> None:
    dashboard.tell(make_snapshot(phase="ended"))
    dashboard.tell(None)
    with dashboard.ask("/events") as answer:
        assert answer.event() == ("snapshot", make_snapshot(phase="ended"))


def test_text_with_line_breaks_stays_one_event(dashboard: Dashboard) -> None:
    shown = make_snapshot(failures=[make_failure(text="a\n\nevent: gone\r\u2028\x85b", traceback="\ud800")])
    dashboard.tell(shown)
    with dashboard.ask("/events") as answer:
        assert answer.event() == ("snapshot", shown)


def test_a_page_that_reads_nothing_holds_up_nobody(dashboard: Dashboard) -> None:
    large = [make_failure(traceback="x" * 32_000, id=number) for number in range(50)]
    with dashboard.ask("/events"), dashboard.ask("/events") as other:
        other.event()
        for number in range(20):  # 30 MB: more than the buffers of the connection take
            dashboard.tell(make_snapshot(acknowledged=number, failures=large))
            assert other.event()[1]["acknowledged"] == number


def test_the_server_ends_with_pages_open(dashboard: Dashboard) -> None:
    dashboard.tell(make_snapshot())
    with dashboard.ask("/events") as one, dashboard.ask("/events") as other:
        assert one.event() == other.event()
        dashboard.close()
        assert one.has_ended()
        assert other.has_ended()


# -- who is answered ----------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "[::1]:9000", "127.0.0.1"]
)
def test_the_page_is_there_under_the_names_of_this_machine(served: Dashboard, host: str) -> None:
    with served.ask("/", Host=host.format(port=served.port)) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "localhost.example.com:{port}",
        "127.0.0.1.example.com",
        "10.0.0.1:{port}",
        "[::2]",
        ":1",
    ],
)
@pytest.mark.parametrize("path", ["/", "/events", "/snapshot.json", "/history.json", "/page.js"])
def test_under_another_name_there_is_nothing(served: Dashboard, host: str, path: str) -> None:
    with served.ask(path, Host=host.format(port=served.port)) as answer:
        assert answer.status == 421
        assert (
            answer.text()
            == "This page is only there under http://127.0.0.1 or http://localhost, with the port.\n"
        )


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/events", "/snapshot.json"])
def test_there_is_only_get(served: Dashboard, method: str, path: str) -> None:
    with served.ask(path, method) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/", "/page.js", "/events", "/snapshot.json", "/nothing"])
def test_a_browser_may_run_nothing_from_elsewhere_and_keeps_nothing(served: Dashboard, path: str) -> None:
    with served.ask(path, Origin="http://example.com") as answer:
        policy = answer.headers["Content-Security-Policy"].split("; ")
        assert policy[0] == "default-src 'self'"
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert [name for name in answer.headers if name.lower().startswith("access-control")] == []
