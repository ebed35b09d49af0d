"""What the pages say that a command takes, it takes."""

from __future__ import annotations

import json
import re
import shlex

import click

from tests.pages import DOCS, ROOT, blocks
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
        found = command.get_command(click.Context(command), word)
        assert found is not None, f"there is no command {' '.join(words)}"
        command = found
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


def test_the_line_of_the_log_has_the_names_below_it() -> None:
    page = DOCS / "command.rst"
    (line,) = [found.text for found in blocks(page) if found.language == "json"]
    names = [f"\n``{name}``" for name in json.loads(line)]
    _, _, below = page.read_text("utf-8").partition(".. code-block:: json")
    assert [name for name in names if name not in below] == []


def test_prometheus_asks_where_the_metrics_are() -> None:
    page = DOCS / "metrics.rst"
    found = {block.language: block.text for block in blocks(page)}
    (port,) = [
        parameter.default for parameter in group.commands["metrics"].params if parameter.name == "port"
    ]
    assert f'targets: ["127.0.0.1:{port}"]' in found["yaml"]
    # that these are all that there are is tested with the metrics themselves
    listed = set(re.findall(r"^``(zmqpipeline_\w+)``", page.read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"zmqpipeline_\w+", found["text"])) <= listed


def test_each_extra_is_in_the_table_of_the_installation() -> None:
    project = ROOT.joinpath("pyproject.toml").read_text("utf-8")
    _, _, extras = project.partition("[project.optional-dependencies]\n")
    names = re.findall(r"^(\w+) = ", extras.partition("\n\n")[0], re.MULTILINE)
    page = DOCS.joinpath("installation.rst").read_text("utf-8")
    assert len(names) >= 7
    assert [name for name in names if f"\n``{name}``" not in page] == []
