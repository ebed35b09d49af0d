"""``zmqpipeline doctor``: looks for what would keep a program from working, and says what to do."""

from __future__ import annotations

import json as jsons
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from zmqpipeline.cli import asking, build, options
from zmqpipeline.cli.endpoints import EXAMINE, Endpoints
from zmqpipeline.cli.exits import CommandError, Exit, say
from zmqpipeline.doctor.finding import OK, PROBLEM, WARNING, Finding, problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: how each level is marked on a terminal
_MARKS = {OK: ("✓", "green"), WARNING: ("!", "yellow"), PROBLEM: ("✗", "bold red")}


@click.command()
@click.argument("file", metavar="FILE")
@options.endpoints
@options.journal
@options.keys
@click.option("--json", "as_json", is_flag=True, help="Write the findings as JSON.")
def doctor(
    *, file: str, journal: str | None, keys: str | None, as_json: bool, **endpoints: tuple[str, ...]
) -> int:
    """Look for what would keep FILE from working on this host.

    No role is run, no address bound and no message sent, but to a monitor endpoint: it may be used beside
    a run. Each finding is a sentence, with what to do. The exit code is 0 if there is no problem, and else
    that with which a run would end.
    """
    given = Endpoints(endpoints, os.environ)
    environ = given.environment()
    build.use_journal(journal, environ)
    build.use_keys(keys, environ)
    findings = list(_findings(file, given.arguments(), environ))
    if as_json:
        _write_json(file, findings)
    else:
        _show(findings)
        say(f"{file}: {_counted(findings)}")
    return next((finding.code for finding in findings if finding.level == PROBLEM), Exit.DONE)


def _findings(file: str, arguments: list[str], environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at the installation here, and at the file in a process of its own."""
    # importlib.metadata, which it needs, is slow to import, and nobody else has a use for it
    from zmqpipeline.doctor import installation  # noqa: PLC0415

    yield from installation.findings()
    told: list[Finding] = []

    def on_event(event: dict[str, Any]) -> bool:
        if event["event"] == "finding":
            told.append(Finding(**event["finding"]))
        return bool(event["event"] == "examined")

    try:
        asking.ask(EXAMINE, file, arguments, environ, on_event)
    except CommandError as error:
        yield from told
        yield problem("file", error.sentence, error.code)
    else:
        yield from told


def _counted(findings: list[Finding]) -> str:
    """Say how many findings ask for something to be done."""
    parts = []
    for level in (PROBLEM, WARNING):
        count = sum(finding.level == level for finding in findings)
        if count:
            parts.append(f"{count} {level}{'s' if count > 1 else ''}")
    return ", ".join(parts) or "nothing is wrong"


def _write_json(file: str, findings: list[Finding]) -> None:
    written = {
        "file": file,
        "problems": sum(finding.level == PROBLEM for finding in findings),
        "warnings": sum(finding.level == WARNING for finding in findings),
        "findings": [finding.as_dict() for finding in findings],
    }
    click.echo(jsons.dumps(written, indent=2))


def _show(findings: list[Finding]) -> None:
    """Write a line for each; on a terminal with marks, and folded beside them."""
    if not sys.stdout.isatty():
        for finding in findings:
            click.echo(f"{finding.level:8} {finding.sentence}")
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        mark, style = _MARKS[finding.level]
        table.add_row(Text(mark, style), Text(finding.sentence))
    Console().print(table)
