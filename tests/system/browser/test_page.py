"""What a person sees of a run, and what hostile text can do there: nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.roles.busyrun import make_busy
from tests.roles.dashboards import Dashboard
from tests.roles.snapshots import (
    NOW,
    make_collector,
    make_failure,
    make_metadata_worker,
    make_snapshot,
    make_task,
    make_worker,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from playwright.sync_api import APIResponse, Locator, Page, Route

    from zmqpipeline.monitor.snapshot import Snapshot

    Open = Callable[..., AbstractContextManager[Page]]

HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\"'&amp;"


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    with Dashboard() as made:
        yield made


def expect(found: Locator) -> Any:
    from playwright.sync_api import expect as expected  # noqa: PLC0415 - where there is none, tests are skipped

    return expected(found)


def many_workers() -> Snapshot:
    states = ["working"] * 90 + ["idle"] * 5 + ["silent", "lost", "left", "starting", "lost"]
    workers = [
        make_worker(id=f"w{n}", host=f"node-{n % 7}.example", pid=n, state=s) for n, s in enumerate(states)
    ]
    return make_snapshot(workers=workers)


def many_tasks() -> Snapshot:
    names = [f"a_task_with_quite_a_long_name_{number}" for number in range(30)]
    tasks = [
        make_task(
            type=name,
            phase="complete" if number < 5 else "running",
            depends=names[max(0, number - 7) : max(0, number - 4)],
        )
        for number, name in enumerate(names)
    ]
    return make_snapshot(tasks=tasks)


def long_words() -> Snapshot:
    long = "x" * 300
    return make_snapshot(
        run=long, tasks=[make_task(type=long), make_task(type="y", depends=[long])], waits_for=[long],
        workers=[make_worker(host=long, name=long, task=long)],
        failures=[make_failure(task=long, type=long, text=long, worker=long, traceback=long)],
    )  # fmt: skip


SNAPSHOTS: dict[str, Callable[[], Snapshot]] = {
    "busy": make_busy,
    "nobody": lambda: make_snapshot(
        workers=[],
        tasks=[],
        failures=[],
        collector=None,
        latency=None,
        phase="waiting",
        waits_for=["a worker for 'x'"],
    ),
    "100 workers": many_workers,
    "30 tasks": many_tasks,
    "long words": long_words,
}


# -- what is shown ------------------------------------------------------------


def test_a_run_is_shown_and_moves(dashboard: Dashboard, opened: Open) -> None:
    dashboard.tell(make_busy(600))
    with opened(dashboard.url) as page:
        fetch = page.locator("[data-task=fetch]").first
        expect(fetch).to_contain_text("364,800 of 500,000 · 72 %")
        expect(fetch).to_contain_text("3 min 34 s")
        expect(page.locator("#phase")).to_have_text("running")
        expect(page.locator("#run")).to_have_text("7f3a90c2")
        expect(page.locator("#uptime")).to_have_text("10 min 00 s")
        expect(page.locator("[data-total=done] .value")).to_have_text("483,600")
        expect(page.locator("#roles")).to_contain_text("ThumbnailCollector")
        expect(page.locator("#roles")).not_to_contain_text("Metadata worker")
        dashboard.tell({**make_busy(), "metadata_worker": make_metadata_worker()})
        expect(page.locator(".role").nth(2)).to_contain_text("Metadata worker left")
        expect(page.locator(".role").nth(2)).to_contain_text("Given")
        expect(page.locator(".role").nth(1)).to_contain_text("Memory")
        dashboard.tell({**make_busy(), "collector": make_collector(state="lost")})
        expect(page.locator(".role").nth(1)).to_contain_text("Collector lost")
        expect(page.locator(".role").nth(1)).not_to_contain_text("Memory")
        assert page.locator("[data-host] h3").all_text_contents() == ["heron", "kestrel", "plover"]
        assert page.locator("[data-host=kestrel] tr[data-worker]").count() == 3
        bar = fetch.locator("[role=progressbar]")
        assert (bar.get_attribute("aria-valuenow"), bar.get_attribute("aria-valuemax")) == (
            "364800",
            "500000",
        )

        dashboard.tell(make_busy(700))
        expect(fetch).to_contain_text("425,600 of 500,000 · 85 %")
        expect(page.locator("[data-total=done] .value")).to_have_text("564,200")
        expect(page.locator("#uptime")).to_have_text("11 min 40 s")


def test_a_lost_worker_is_marked_by_colour_and_word(dashboard: Dashboard, opened: Open) -> None:
    dashboard.tell(make_snapshot(workers=[make_worker(id="one"), make_worker(id="other")]))
    with opened(dashboard.url) as page:
        badge = page.locator("[data-worker=one] .badge")
        expect(badge).to_have_text("working")
        before = badge.evaluate("node => getComputedStyle(node).color")
        dashboard.tell(make_snapshot(workers=[make_worker(id="other"), make_worker(id="one", state="lost")]))
        expect(badge).to_have_text("lost")
        assert badge.evaluate("node => getComputedStyle(node).color") != before
        expect(page.locator("[data-worker=other] .badge")).to_have_text("working")
        expect(page.locator("[data-total=workers] .value")).to_have_text("1")
        expect(page.get_by_role("status")).to_have_text("The run goes on. Workers that need a look: 1 lost.")
        lost = make_worker(id="one", state="lost", since=NOW - 600)
        dashboard.tell(make_snapshot(workers=[make_worker(id="other"), lost]))
        expect(page.get_by_role("status")).to_have_text("The run goes on.")  # that was long ago
        expect(badge).to_have_text("lost")


def test_a_page_that_nobody_sees_gives_its_connection_back(dashboard: Dashboard, opened: Open) -> None:
    dashboard.tell(make_snapshot(acknowledged=1))
    hide = """hidden => {
        Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    with opened(dashboard.url) as page:
        done = page.locator("[data-total=done] .value")
        expect(done).to_have_text("1")
        with page.expect_event("requestfailed", lambda asked: asked.url.endswith("/events")):
            page.evaluate(hide, True)
        dashboard.tell(make_snapshot(acknowledged=2))
        page.evaluate(hide, False)
        expect(done).to_have_text("2")


def test_a_distributor_that_is_gone_is_announced_and_comes_back(dashboard: Dashboard, opened: Open) -> None:
    with opened(dashboard.url) as page:
        status = page.get_by_role("status")
        dashboard.tell(None, "nobody is at tcp://127.0.0.1:5555: start it")
        expect(status).to_contain_text("No distributor has answered yet.")
        expect(status).to_contain_text("Now, nobody is at tcp://127.0.0.1:5555: start it.")
        dashboard.tell(make_snapshot(workers=[]))
        expect(status).to_have_text("The run goes on.")
        dashboard.tell(None, "nobody is there")
        expect(status).to_contain_text("The distributor is gone: nothing was heard of it since")
        expect(status).to_contain_text("(nobody is there). What stands here is the last that it said")
        expect(page.locator("#phase")).to_have_text("distributor gone")
        expect(page.locator("#roles")).to_contain_text("Distributor gone")
        dashboard.tell(make_snapshot(workers=[], time=NOW + 30))
        expect(status).to_have_text("The distributor is back. The run goes on.")
        expect(page.locator("#phase")).to_have_text("running")
        dashboard.tell(make_snapshot(workers=[], phase="ended", time=NOW + 31))
        expect(status).to_contain_text("The run has ended.")


def test_a_page_whose_server_ended_says_so_and_goes_on_with_the_next(
    dashboard: Dashboard, opened: Open
) -> None:
    dashboard.tell(make_snapshot())
    # the browser itself notes each attempt that failed
    with opened(dashboard.url, complains=True) as page:
        expect(page.locator("#phase")).to_have_text("running")
        dashboard.close()
        expect(page.get_by_role("status")).to_contain_text("The dashboard itself does not answer")
        with Dashboard(dashboard.port) as other:
            other.tell(make_snapshot(phase="stopping"))
            expect(page.locator("#phase")).to_have_text("stopping")


def test_a_failure_opens_and_stays_open(dashboard: Dashboard, opened: Open) -> None:
    dashboard.tell(make_busy(600))
    with opened(dashboard.url) as page:
        failure = page.locator(".failure").first
        trace = failure.locator("pre")
        expect(trace).to_be_hidden()
        failure.locator("summary").click()
        expect(trace).to_be_visible()
        expect(trace).to_contain_text('File "/srv/thumbs/codec.py", line 112, in decode\n    raise')
        later = make_failure(id=5, text="later")
        known = make_busy(600)["failures"]
        for each in known:
            each["time"] += 0.000_01  # a distributor reckons it from two clocks, each time anew
        dashboard.tell(make_snapshot(failures=[later, *known]))
        expect(page.locator(".failure")).to_have_count(3)
        expect(page.locator(".failure").first).to_contain_text("later")
        expect(trace).to_be_hidden()  # the first is another one now
        expect(page.locator(".failure").nth(1).locator("pre")).to_be_visible()


#: the smallest gap between two times at the axes of the plots, in pixels
GAP = """() => Math.min(...[...document.querySelectorAll("svg.line")].flatMap((plot) => {
  const boxes = [...plot.querySelectorAll(".tick:not(.y)")].map((tick) => tick.getBoundingClientRect());
  return boxes.slice(1).map((box, index) => box.left - boxes[index].right);
}))"""


@pytest.mark.parametrize("width", [390, 1000])
def test_the_times_at_the_axes_stand_apart(dashboard: Dashboard, opened: Open, width: int) -> None:
    gaps = []
    with opened(dashboard.url) as page:
        page.set_viewport_size({"width": width, "height": 800})
        for second in range(40):
            dashboard.tell(make_snapshot(time=NOW + 3.7 * second, uptime=float(second), latency=0.1))
            expect(page.locator("#uptime")).to_have_text(f"{second} s")
            gaps.append(page.evaluate(GAP))
    assert min(gaps) > 8


def test_times_that_no_calendar_has_do_not_stop_the_page(dashboard: Dashboard, opened: Open) -> None:
    far = float(2**53)
    dashboard.tell(
        make_snapshot(
            time=far, workers=[make_worker(state="lost", since=-far)], failures=[make_failure(time=far)]
        )
    )
    with opened(dashboard.url) as page:
        expect(page.locator("[data-worker]")).to_contain_text("lost \u2013")
        expect(page.locator(".failure")).to_have_count(1)
        dashboard.tell(make_busy(600))
        expect(page.locator("[data-worker]")).to_have_count(8)


def test_hostile_text_stays_text(dashboard: Dashboard, opened: Open) -> None:
    bad = HOSTILE
    dashboard.tell(
        make_snapshot(
            run=bad, waits_for=[bad], tasks=[make_task(type=bad), make_task(type="other", depends=[bad])],
            workers=[make_worker(id=bad, host=bad, name=bad, task=bad)],
            failures=[make_failure(task=bad, type=bad, text=bad, traceback=bad, worker=bad)],
        )
    )  # fmt: skip
    with opened(dashboard.url) as page:
        page.locator(".failure summary").click()
        expect(page.locator(".failure pre")).to_have_text(bad)
        for place in ("#tasks tbody tr >> nth=0", "#hosts summary h3", "#hosts tbody tr", ".failure summary"):
            expect(page.locator(place)).to_contain_text(bad)
        expect(page.get_by_role("status")).to_contain_text(f"The run waits for {bad}.")
        expect(page.locator(".node title").first).to_have_text(bad)
        assert page.evaluate("window.hacked") is None
        assert page.locator("img").count() == 1  # the icon
        assert page.locator("script").count() == 1


# -- plots and graph ----------------------------------------------------------


def test_a_page_that_is_opened_late_has_its_plots(dashboard: Dashboard, opened: Open) -> None:
    for second in range(120):
        dashboard.tell(make_snapshot(time=NOW + second, rate=1000.0 + second, latency=0.01 + second / 10_000))
    with opened(dashboard.url) as page:
        plot = page.locator("#throughput svg")
        expect(plot).to_have_attribute(
            "aria-label", re.compile("in the last 1 min 59 s: from 1,000/s to 1,119/s")
        )
        expect(page.locator("#throughput .tip")).to_have_text("1,119/s now")
        ticks = page.locator("#throughput .tick").all_text_contents()
        assert ticks[:4] == ["0/s", "500/s", "1,000/s", "1,500/s"]
        assert all(re.fullmatch(r"22:1\d(:\d\d)?", tick) for tick in ticks[4:]), ticks
        assert len(ticks) > 6
        assert page.locator("#latency .tick").all_text_contents()[:3] == ["0 s", "10 ms", "20 ms"]
        plot.hover(position={"x": 100, "y": 80})
        expect(page.locator("#throughput .tip")).to_have_text(re.compile(r"1,0\d\d/s at 22:13:\d\d"))
        plot.focus()
        page.keyboard.press("ArrowLeft")
        first = page.locator("#throughput .tip").text_content()
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#throughput .tip")).not_to_have_text(first or "")


def test_a_line_has_a_gap_where_nothing_was_heard(dashboard: Dashboard, opened: Open) -> None:
    for second in range(3):
        dashboard.tell(make_snapshot(time=NOW + second))
    with opened(dashboard.url) as page:
        curves = page.locator("#throughput .curve")
        expect(curves).to_have_count(1)
        dashboard.tell(None)
        expect(page.locator("#phase")).to_have_text("distributor gone")
        for second in range(20, 23):
            dashboard.tell(make_snapshot(time=NOW + second))
        expect(curves).to_have_count(2)


def test_a_gap_stays_where_the_history_comes_behind_it(dashboard: Dashboard, opened: Open) -> None:
    for second in range(3):
        dashboard.tell(make_snapshot(time=NOW + second))
    held: list[tuple[Route, APIResponse]] = []
    with opened(dashboard.url) as page:
        while not page.evaluate("performance.getEntriesByName(location.href + 'history.json').length"):
            page.wait_for_timeout(20)
        page.route("**/history.json", lambda route: held.append((route, route.fetch())))
        page.reload()
        expect(page.locator("#phase")).to_have_text("running")
        while not held:
            page.wait_for_timeout(20)
        dashboard.tell(None)
        expect(page.locator("#phase")).to_have_text("distributor gone")
        ((route, answer),) = held
        with page.expect_response("**/history.json"):
            route.fulfill(response=answer)
        for second in range(20, 23):
            dashboard.tell(make_snapshot(time=NOW + second))
        expect(page.locator("#throughput .curve")).to_have_count(2)


def test_the_graph_goes_from_left_to_right(dashboard: Dashboard, opened: Open) -> None:
    tasks = [
        make_task(type="last", phase="waiting", depends=["left", "right"]),
        make_task(type="left", depends=["first"]),
        make_task(type="right", depends=["first"], total=None),
        make_task(type="first", phase="complete"),
        make_task(type="alone"),
    ]
    dashboard.tell(make_snapshot(tasks=tasks))
    with opened(dashboard.url) as page:
        expect(page.locator(".node")).to_have_count(4)
        x = {
            name: page.locator(f".node[data-task={name}]").bounding_box()
            for name in ("first", "left", "right", "last")
        }
        places = {name: box["x"] for name, box in x.items() if box}
        assert places["first"] < places["left"] == places["right"] < places["last"]
        expect(page.locator(".node[data-task=left] .state")).to_have_text("running · 40 %")
        expect(page.locator(".node[data-task=right] .state")).to_have_text("running")
        expect(page.locator(".node[data-task=first] .state")).to_have_text("complete")
        fill = [page.locator(f".node[data-task={name}] .fill") for name in ("first", "left", "right")]
        assert [found.get_attribute("width") for found in fill] == ["176", "70.4", "0"]
        assert page.locator(".edge.open").count() == 2  # what is complete holds nothing up
        expect(page.locator("#graph-rest")).to_have_text("1 more task neither waits nor is waited for.")
        label = page.locator(".graph").get_attribute("aria-label")
        assert label
        assert "last (waiting) waits for left, right" in label


def test_tasks_that_wait_for_each_other_are_drawn_all_the_same(dashboard: Dashboard, opened: Open) -> None:
    tasks = [make_task(type="a", depends=["b"]), make_task(type="b", depends=["a", "b", "nowhere"])]
    dashboard.tell(make_snapshot(tasks=tasks))
    with opened(dashboard.url) as page:
        expect(page.locator(".node")).to_have_count(2)


# -- for everybody ------------------------------------------------------------


@pytest.mark.parametrize("case", SNAPSHOTS)
def test_the_page_fits(dashboard: Dashboard, opened: Open, case: str) -> None:
    shown = SNAPSHOTS[case]()
    dashboard.tell(shown)
    with opened(dashboard.url) as page:
        expect(page.locator("tr[data-worker]")).to_have_count(len(shown["workers"]))
        expect(page.locator("tr[data-task]")).to_have_count(len(shown["tasks"]))
        for failure in page.locator(".failure summary").all():
            failure.click()
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(OUTSIDE, width) == []


#: what is cut off at the right, but where one can scroll to it
OUTSIDE = """width => [...document.querySelectorAll('main *')]
    .filter((node) => !node.closest('.scroll, pre, thead'))
    .filter((node) => node.getBoundingClientRect().right > width)
    .map((node) => node.outerHTML.slice(0, 200))"""


def test_text_can_be_read(dashboard: Dashboard, opened: Open) -> None:
    states = ["starting", "idle", "working", "silent", "lost", "left"]
    phases = ["waiting", "running", "complete", "stopping"]
    shown = make_busy()
    shown["workers"] += [make_worker(id=state, state=state) for state in states]
    shown["tasks"] = [make_task(type=phase, phase=phase, depends=["other"]) for phase in phases]
    shown["tasks"].append(make_task(type="other"))
    dashboard.tell(shown)
    with opened(dashboard.url) as page:
        expect(page.locator("tr[data-worker]")).to_have_count(len(shown["workers"]))
        for failure in page.locator(".failure summary").all():
            failure.click()
        grounds = set()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            for kind in ("live", "back", "trouble", "waiting", "ended", "gone"):
                page.evaluate("kind => { document.getElementById('notice').dataset.kind = kind }", kind)
                assert page.evaluate(LOW_CONTRAST) == [], scheme
        assert len(grounds) == 2


#: text whose contrast is lower than WCAG's AA asks for, with its ratio
LOW_CONTRAST = """() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const light = ({ r, g, b }) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    const box = node.closest('.node')?.querySelector('.box');
    if (box) return parse(getComputedStyle(box).fill);
    for (let at = node; at; at = at.parentElement) {
      const found = parse(getComputedStyle(at).backgroundColor);
      if (found.a === 1) return found;
    }
    throw new Error('there is no ground');
  };
  const low = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!own || node.closest('noscript, title') || !node.getClientRects().length) continue;
    const style = getComputedStyle(node);
    const [one, other] = [parse(node.closest('svg') ? style.fill : style.color), behind(node)].map(light);
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) low.push([node.textContent, node.className.baseVal ?? node.className, ratio]);
  }
  return low;
}"""


def test_the_page_can_be_found_through_without_seeing_it(dashboard: Dashboard, opened: Open) -> None:
    dashboard.tell(make_busy())
    with opened(dashboard.url, reduced_motion="reduce") as page:
        expect(page.locator("tr[data-worker]")).to_have_count(8)
        for role in ("banner", "main", "contentinfo", "status"):
            assert page.get_by_role(role).count() == 1, role
        assert page.get_by_role("heading", level=1).all_text_contents() == ["zmqpipeline"]
        sections = [
            "Throughput",
            "Latency",
            "Tasks",
            "Dependencies",
            "Workers",
            "Failures",
            "Other roles",
        ]
        for name in sections:
            assert page.get_by_role("region", name=name, exact=True).count() >= 1, name
            assert page.get_by_role("heading", level=2, name=name, exact=True).count() >= 1, name
        assert page.get_by_role("table", name="Workers on heron").get_by_role("columnheader").count() == 10
        assert page.get_by_role("progressbar", name="Progress of fetch").count() == 1
        bar = page.locator(".good").first
        assert bar.evaluate("node => getComputedStyle(node).transitionProperty") == "none"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the figures"
