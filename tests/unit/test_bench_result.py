"""A result of the benchmarks: as JSON and back, as a table, and as a plot."""

from __future__ import annotations

import io
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console

from zmqpipeline.bench import machine, plot, rows, rst, table
from zmqpipeline.bench.failure import BenchError
from zmqpipeline.bench.result import FORMAT, Result
from zmqpipeline.bench.sample import BARE, OURS, P50, P99, RATE, Figure, Reading, Sample
from zmqpipeline.bench.spread import Spread


@pytest.fixture
def result() -> Result:
    """Three contenders, of which one has a name that means something in markup."""
    samples = []
    for turn, (bare, ours, other) in enumerate([(2e6, 1e6, 3e5), (2.2e6, 1.1e6, 2e5)]):
        where = "throughput", "2 workers, ipc", turn
        samples += [
            Sample(*where, Reading(BARE, RATE, bare)),
            Sample(*where, Reading(OURS, RATE, ours, BARE)),
            Sample(*where, Reading("other_[b]*_`|", RATE, other, BARE)),
        ]
        latency = "latency", "1 worker, ipc", turn
        samples += [
            Sample(*latency, Reading(BARE, P50, 100.0)),
            Sample(*latency, Reading(BARE, P99, 200.0)),
            Sample(*latency, Reading(OURS, P50, 250.0, BARE)),
            Sample(*latency, Reading(OURS, P99, 300.0, BARE)),
        ]
    memory = Reading(OURS, Figure("memory", "MiB"), 30.5, series=((0.0, 28.25), (0.1, 30.5)))
    samples.append(Sample("long", "10 tasks", 0, memory))
    known: dict[str, str | int] = {
        "python": "3.11.7 (CPython)",
        "cores": 2,
        "cpu": "Fast_CPU*",
        "system": "Linux",
    }
    return Result(known, "2026-01-02T03:04:05+00:00", samples)


# -- JSON ------------------------------------------------------------------


def test_json_comes_back_as_it_was(result: Result) -> None:
    assert Result.from_json(result.to_json()) == result


def test_json_says_everything(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path / "r.json")
    found = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (found["format"], found["date"], found["machine"]) == (FORMAT, result.date, result.machine)
    assert len(found["samples"]) == len(result.samples)
    assert found["samples"][1] == {
        "workload": "throughput", "variant": "2 workers, ipc", "turn": 0,
        "contender": OURS, "reference": BARE, "value": 1e6,
        "figure": {"name": "throughput", "unit": "tasks/s", "more": True},
    }  # fmt: skip
    assert found["samples"][-1]["series"] == [[0.0, 28.25], [0.1, 30.5]]
    assert found["summaries"][1]["ratio"] == {"median": 0.5, "low": 0.5, "high": 0.5, "count": 2}
    assert Result.load(tmp_path / "r.json") == result


def test_a_new_result_says_where_and_when() -> None:
    made = Result()
    assert set(made.machine) == {
        "zmqpipeline", "python", "pyzmq", "libzmq", "msgpack", "cores", "cpu", "system",
    }  # fmt: skip
    assert all(made.machine.values())
    assert made.date.endswith("+00:00")
    assert "1 core of x" in machine.sentence({"cores": 1, "cpu": "x"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no json", "JSONDecodeError"),
        ("[]", "TypeError"),
        ("{}", "'format'"),
        ('{"format": 99}', "format 99, and this version reads format 1"),
        ('{"format": 1, "machine": {}, "date": "", "samples": [{}]}', "KeyError"),
        ('{"format": 1, "machine": {}, "date": "", "samples": [1]}', "TypeError"),
    ],
)
def test_what_is_no_result_is_refused_in_one_sentence(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BenchError, match=r"r\.json cannot be used: ") as caught:
        Result.load(path)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_or_written_are_named(result: Result, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"missing\.json cannot be read: No such file"):
        Result.load(tmp_path / "missing.json")
    tmp_path.joinpath("binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BenchError, match=r"binary\.json cannot be used: it is no text"):
        Result.load(tmp_path / "binary.json")
    with pytest.raises(BenchError, match="cannot be written: Is a directory"):
        result.save(tmp_path)


# -- tables ----------------------------------------------------------------


def test_rows_leave_out_who_only_stands_beside_others_and_what_repeats(result: Result) -> None:
    found = [row.cells for row in rows.make(result.summaries)]
    assert found == [
        ("throughput", "2 workers, ipc", "throughput, tasks/s", OURS,
         "1,050,000", BARE, "2,100,000", "0.50 (0.50 to 0.50)"),
        ("", "", "", "other_[b]*_`|", "250,000", BARE, "2,100,000", "0.12 (0.091 to 0.15)"),
        ("latency", "1 worker, ipc", "p50, µs", OURS, "250", BARE, "100", "2.50 (2.50 to 2.50)"),
        ("", "", "p99, µs", OURS, "300", BARE, "200", "1.50 (1.50 to 1.50)"),
        ("long", "10 tasks", "memory, MiB", OURS, "30.5", "", "", ""),
    ]  # fmt: skip


def test_a_variant_that_only_looks_the_same_is_not_left_out() -> None:
    samples = [Sample(workload, "ipc", 0, Reading(OURS, P50, 1.0)) for workload in ("throughput", "latency")]
    assert [row.cells[:3] for row in rows.make(Result({}, "", samples).summaries)] == [
        ("throughput", "ipc", "p50, µs"),
        ("latency", "ipc", "p50, µs"),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567.8, "1,234,568"),
        (123.4, "123"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.01234, "0.0123"),
        (0, "0"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert rows.number(value) == text


def test_a_single_ratio_has_no_spread() -> None:
    assert rows.ratio(Spread(0.5, 0.5, 0.5, 1)) == "0.50"


def test_a_small_ratio_has_two_digits_as_well() -> None:
    assert rows.ratio(Spread(0.0123, 0.00034, 0.123, 3)) == "0.012 (0.00034 to 0.12)"


def test_the_table_shows_all_of_it(result: Result) -> None:
    written = io.StringIO()
    table.show(result, Console(file=written))
    lines = written.getvalue().splitlines()
    (ours,) = (line for line in lines if "1,050,000" in line)
    for text in ("throughput", "2 workers, ipc", "tasks/s", OURS, BARE, "2,100,000", "0.50 (0.50 to 0.50)"):
        assert text in ours
    assert any("other_[b]*_`|" in line for line in lines)
    assert "2 cores of Fast_CPU*, Linux; 2026-01-02" in " ".join(written.getvalue().split())


def test_rst_is_what_docutils_reads(result: Result) -> None:
    docutils = pytest.importorskip("docutils.core")
    text = rst.write(result)
    tree = docutils.publish_doctree(text, settings_overrides={"report_level": 1, "halt_level": 2})
    read = [
        [cell.astext() for cell in row.children]
        for row in tree.findall(lambda node: node.tagname == "row")
    ]  # fmt: skip
    assert read[0] == list(rows.HEADINGS)
    assert [tuple(cells) for cells in read[1:]] == [row.cells for row in rows.make(result.summaries)]
    assert tree.children[-1].astext().endswith("2 cores of Fast_CPU*, Linux; 2026-01-02T03:04:05+00:00.")


def test_rst_is_a_list_table(result: Result) -> None:
    lines = rst.write(result).splitlines()
    assert lines[0] == ".. list-table::"
    assert "      - other\\_[b]\\*\\_\\`\\|" in lines
    assert not any(line != line.rstrip() for line in lines)


# -- the plot ---------------------------------------------------------------


def test_a_plot_has_each_contender_and_no_background(result: Result) -> None:
    pytest.importorskip("matplotlib")
    drawn = plot.draw(result)
    root = ET.fromstring(drawn)  # noqa: S314 - our own
    texts = ["".join(text.itertext()).strip() for text in root.iter("{http://www.w3.org/2000/svg}text")]
    for text in (OURS, BARE, "other_[b]*_`|", "1,050,000", "p50, zmqpipeline"):
        assert text in texts
    assert "throughput, 2 workers, ipc (tasks/s, more is better)" in texts
    assert "latency, 1 worker, ipc (µs, less is better)" in texts
    backgrounds = [
        path for path in root.iter("{http://www.w3.org/2000/svg}path") if "ffffff" in str(path.attrib)
    ]
    assert backgrounds == []
    assert plot.TEXT in drawn
    assert plot.draw(result) == drawn


def test_a_plot_of_nothing_is_refused() -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(BenchError, match="nothing to plot"):
        plot.draw(Result({}, "", []))


def test_a_plot_without_matplotlib_says_what_to_install(
    result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BenchError, match=r'^a plot needs matplotlib: pip install "zmqpipeline\[bench\]"$'):
        plot.draw(result)


def test_nothing_but_the_core_is_needed_to_measure() -> None:
    folder = Path(plot.__file__).parent
    names = {"click", "rich", "matplotlib"}
    for path in folder.rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            at_the_top = words[:1] in (["import"], ["from"]) and not line.startswith(" ")
            assert not (at_the_top and words[1].partition(".")[0] in names), f"{path.name}: {line}"
