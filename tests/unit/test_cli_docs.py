"""The page about the command names everything that it takes and ends with."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

import zmqpipeline
from tests.pages import blocks
from tests.system.reader import commands
from tests.system.test_cli_run import SUMMARY
from zmqpipeline import access
from zmqpipeline.bench.tour import WORKLOADS
from zmqpipeline.cli import build, logs, roles
from zmqpipeline.cli.app import group
from zmqpipeline.cli.bench import bench
from zmqpipeline.cli.endpoints import OVERRIDES
from zmqpipeline.cli.exits import Exit
from zmqpipeline.cli.keys import keys
from zmqpipeline.cli.program import ROLES

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
    assert build.JOURNAL in text
    assert "``--journal PATH``" in text
    assert access.VARIABLE in text
    assert zmqpipeline.Security.VARIABLE in text
    assert "``--keys FOLDER``" in text
    for name in keys.commands:
        assert f"zmqpipeline keys {name}" in text
    assert all(f"``{level}``" in text for level in logs.LEVELS)


def takes(words: list[str]) -> set[str]:
    """List the options of a command of the command, whose names these words begin with."""
    if words[0] in ROLES:
        return set(roles._parser(words[0])._option_string_actions)
    command: click.Command = group
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = command.commands[word]
    return {option for parameter in command.params for option in parameter.opts}


def test_each_synopsis_is_that_of_the_command() -> None:
    texts = [found.text for found in blocks(PAGE) if found.language == "text"]
    summaries = [text for text in texts if text.startswith("zmqpipeline: ")]
    assert all(SUMMARY.fullmatch(text) for text in summaries)
    shown = 0
    for text in texts:
        for line in re.sub(r"\n +", " ", re.sub(r"(?m)^ +", "    ", text)).split("zmqpipeline ")[1:]:
            words = re.match(r"[a-z-]+(?: [a-z]+\b)?", re.sub(" +", " ", line))
            assert words is not None, line
            unknown = set(re.findall(r"(?<!\S)\[?(-{1,2}[a-z][a-z-]*)", line)) - takes(words[0].split())
            assert unknown == set(), line
            shown += 1
    assert shown >= 12


def test_the_measurements_can_be_repeated() -> None:
    page = blocks(PAGE.parent / "performance.rst")
    lines = [typed.command for found in page if found.language == "console" for typed in commands(found)]
    assert len(lines) == 3
    for line in lines:
        _, name, *arguments = shlex.split(line)
        assert name == "bench"
        bench.make_context("bench", arguments).close()  # it raises for what the command does not take


def test_every_workload_and_option_of_bench_is_named() -> None:
    _, _, text = PAGE.read_text(encoding="utf-8").partition("zmqpipeline bench\n====")
    assert [name for name in WORKLOADS if f"\n``{name}``" not in text] == []
    options = [option for parameter in bench.params for option in parameter.opts if option.startswith("--")]
    assert len(options) == 9
    assert [option for option in options if f"``{option}" not in text] == []
