"""What the pages say that a command takes, it takes."""

from __future__ import annotations

import re
import shlex

import click

from tests.pages import DOCS, blocks
from tests.system.reader import commands
from tests.system.test_cli_run import SUMMARY
from zmqpipeline.cli import roles
from zmqpipeline.cli.app import group
from zmqpipeline.cli.bench import bench
from zmqpipeline.cli.program import ROLES


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
    texts = [found.text for found in blocks(DOCS / "command.rst") if found.language == "text"]
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
    page = blocks(DOCS / "performance.rst")
    lines = [typed.command for found in page if found.language == "console" for typed in commands(found)]
    assert len(lines) == 3
    for line in lines:
        _, name, *arguments = shlex.split(line)
        assert name == "bench"
        bench.make_context("bench", arguments).close()  # it raises for what the command does not take
