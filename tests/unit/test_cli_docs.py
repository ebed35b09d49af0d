"""The page about the command names everything that it takes and ends with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

import zmqpipeline
from zmqpipeline import access
from zmqpipeline.bench.tour import WORKLOADS
from zmqpipeline.cli import build, jsonlines, logs, watching
from zmqpipeline.cli.bench import bench
from zmqpipeline.cli.dashboard import dashboard
from zmqpipeline.cli.endpoints import OVERRIDES
from zmqpipeline.cli.exits import Exit
from zmqpipeline.cli.keys import keys
from zmqpipeline.cli.metrics import metrics
from zmqpipeline.cli.program import ROLES
from zmqpipeline.cli.status import status
from zmqpipeline.cli.top import top
from zmqpipeline.cli.voice import Voice
from zmqpipeline.monitor.snapshot import State

PAGE = Path(__file__).parents[2] / "docs" / "command.rst"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="only a checkout has the documentation")


def test_every_exit_code_is_listed_once() -> None:
    _, _, table = PAGE.read_text(encoding="utf-8").partition("Exit codes\n====")
    listed = [int(number) for number in re.findall(r"^(\d+) +[A-Z]", table, re.MULTILINE)]
    assert listed == [code.value for code in Exit]


def test_every_command_option_and_variable_is_named() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in [*ROLES, "run"]:
        assert f"zmqpipeline {name}" in text
    for override in OVERRIDES.values():
        assert f"``{override.option}``" in text
        assert f"``{override.variable}``" in text
    assert logs.VARIABLE in text
    assert jsonlines.VARIABLE in text
    assert f"``{jsonlines.OPTION}``" in text
    assert build.JOURNAL in text
    assert "``--journal PATH``" in text
    assert "``--reload``" in text
    assert access.VARIABLE in text
    assert zmqpipeline.Security.VARIABLE in text
    assert "``--keys FOLDER``" in text
    for name in keys.commands:
        assert f"zmqpipeline keys {name}" in text
    assert all(f"``{level}``" in text for level in logs.LEVELS)


def test_every_option_of_doctor_is_named_and_all_that_it_looks_at() -> None:
    _, _, text = PAGE.read_text(encoding="utf-8").partition("zmqpipeline doctor\n====")
    text, _, _ = text.partition("zmqpipeline bench\n====")
    for option in ("--journal PATH", "--keys FOLDER", "--json"):
        assert option in text
    for about in ("installation", "file", "roles", "endpoints", "keys", "journal"):
        assert f"\n{about} " in text


def test_what_watches_a_run_is_described() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert watching.VARIABLE in text
    for command in (status, top, dashboard, metrics):
        _, _, section = text.partition(f"\nzmqpipeline {command.name}\n===")
        usage = section[: section.index("\n\n", section.index(f"    zmqpipeline {command.name} "))]
        options = [option for parameter in command.params for option in parameter.opts if option[0] == "-"]
        assert options
        assert [option for option in options if f"[{option}" not in usage] == []


def test_every_state_of_a_worker_is_explained() -> None:
    text = PAGE.with_name("monitoring.rst").read_text(encoding="utf-8")
    assert [state for state in get_args(State) if f"\n``{state}``" not in text] == []


def test_every_workload_and_option_of_bench_is_named() -> None:
    _, _, text = PAGE.read_text(encoding="utf-8").partition("zmqpipeline bench\n====")
    assert [name for name in WORKLOADS if f"\n``{name}``" not in text] == []
    options = [option for parameter in bench.params for option in parameter.opts if option.startswith("--")]
    assert len(options) == 9
    assert [option for option in options if f"``{option}" not in text] == []


def test_every_name_in_an_object_is_explained(tmp_path: Path) -> None:
    _, _, text = PAGE.read_text(encoding="utf-8").partition("Lines for a program\n====")
    listed = re.findall(r"^``(\w+)`` +[A-Z]", text.partition("\n\nWhat goes to stdout")[0], re.MULTILINE)
    with tmp_path.joinpath("log").open("w+") as log:
        sink = jsonlines.JsonLines(log.fileno(), "run")
        sink.say("info", "text", exception="trace", voice=Voice("Does", 1, "first"))
        log.seek(0)
        assert listed == list(json.loads(log.read()))
