"""The commands that run one role in this process. They import neither click nor rich."""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from typing import NoReturn

from zmqpipeline import Distributor, Statistics, access
from zmqpipeline.cli import build, exits, jsonlines, loading, logs, plan, program
from zmqpipeline.cli.endpoints import EXAMINE, OF_ROLE, OVERRIDES, PLAN, Endpoints
from zmqpipeline.cli.exits import Ending, Exit, trimmed_traceback
from zmqpipeline.cli.output import choose
from zmqpipeline.cli.starting import StoppedEarly
from zmqpipeline.cli.summary import summary
from zmqpipeline.cli.supervised import Supervision
from zmqpipeline.cli.voice import Voice
from zmqpipeline.errors import Stopped

_HELP = {
    "distributor": "Hand out the Tasks of FILE.",
    "worker": "Run a Worker of FILE.",
    "collector": "Run the Collector of FILE.",
    "metadata": "Run the MetaDataWorker of FILE.",
    "service": "Run a Service of FILE.",
    "service-worker": "Run a ServiceWorker of FILE.",
}


def main(command: str, arguments: list[str]) -> int:
    """Run one of the commands of this module.

    Parameters
    ----------
    command
        which one
    arguments
        what stands behind it on the command line

    Returns
    -------
    int
        the exit code

    """
    options = _parser(command).parse_args(arguments)
    if (sink := jsonlines.active()) is not None and options.name:
        sink.voice = Voice(options.name, os.getpid())
    _write_lines()
    supervision = Supervision(options.stop_fd, options.status_fd)
    try:
        build.use_keys(options.keys, os.environ)
        build.use_journal(getattr(options, "journal", None), os.environ)
        if command in _LOOKS:
            _LOOKS[command](options, supervision)
            return Exit.DONE
        code = _run(command, options, supervision)
    except StoppedEarly as stopped:
        if options.stop_fd is None:  # else whoever has started it says why it was stopped
            exits.say(f"{options.name or command}: {stopped.sentence}")
        return int(stopped.code or 0)
    except Stopped as stopped:
        return int(stopped.code or 0)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the process ends with its sentence and code
        if exits.is_starved(error):
            _out_of_memory(error, options.name or command)
        return _failed(exits.of_exception(error, options.name or command), supervision)
    return Exit.TERMINATED if supervision.stopped else code


def help_of(command: str) -> str:
    """Say in a sentence what a command does."""
    return _HELP[command]


def _write_lines() -> None:
    """Send each line off as it is printed: none is lost when the process is killed, none late in a pipe."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")


def _plan(options: argparse.Namespace, supervision: Supervision) -> None:
    from zmqpipeline.cli import sources  # noqa: PLC0415 - only for this command

    module = loading.load(options.file)
    found = program.read(options.file, module)
    made = plan.make(found, _given(PLAN, options))
    made.files = sources.of_workers(found, module)
    supervision.tell_all("plan", plan=made.dump())


def _examine(options: argparse.Namespace, supervision: Supervision) -> None:
    from zmqpipeline.doctor import examination  # noqa: PLC0415 - only for this command

    found = program.read(options.file, loading.load(options.file))
    for finding in examination.findings(found, _given(EXAMINE, options)):
        supervision.tell_all("finding", finding=finding.as_dict())
    supervision.tell_all("examined")


#: the commands that run nothing
_LOOKS = {PLAN: _plan, EXAMINE: _examine}


def _run(command: str, options: argparse.Namespace, supervision: Supervision) -> int:
    module = loading.load(options.file)
    found = program.read(options.file, module)
    chosen = found.pick(command, options.name)
    name = chosen.name
    # from here on it is called by its name in the file, also in what is said of its end
    options.name = name
    voice = Voice(name, os.getpid(), chosen.task_type)
    logs.configure(options.log_level, voice, chosen.subject, prefixed=supervision.active)
    role = build.role(found, command, name, _given(command, options), os.environ.get(build.JOURNAL))
    supervision.attach(role)
    if isinstance(role, Distributor):
        return _distribute(role, supervision)
    role.run()
    return Exit.DONE


def _distribute(distributor: Distributor, supervision: Supervision) -> int:
    """Run a distributor; tell how far it is, and at the end what it has done."""
    begun = time.monotonic()
    _follow(distributor, supervision)
    ended: BaseException | None = None
    try:
        distributor.run()
    except BaseException as error:
        ended = error
        raise
    finally:
        done = distributor.statistics()
        if not supervision.active and (done.handed_out or ended is None or isinstance(ended, Stopped)):
            exits.say(summary(done, time.monotonic() - begun, stopped=ended is not None))
    return Exit.TASKS_FAILED if distributor.failures else Exit.DONE


def _follow(distributor: Distributor, supervision: Supervision) -> None:
    """Tell the supervisor, or a person, how far a distributor is; the program that wants to know as well."""
    theirs, lines = distributor.on_progress, choose(counts=False)

    def tell(statistics: Statistics) -> None:
        if supervision.active:
            supervision.tell("progress", tally=statistics, total=_total(distributor))
        else:
            now = time.monotonic()
            lines.counted(statistics, now, _total(distributor))
            lines.tick(now)
        if theirs is not None:
            theirs(statistics)

    distributor.on_progress = tell


def _total(distributor: Distributor) -> int | None:
    """Tell how many tasks there will be, if all of the program's Tasks say so."""
    totals = [getattr(task, "total", None) for task in distributor.tasks.values()]
    known = [total for total in totals if type(total) is int and total >= 0]
    return sum(known) if len(known) == len(totals) else None


def _failed(ending: exits.Ending, supervision: Supervision) -> int:
    """Show how the process ends; under a supervisor, that one says the sentence."""
    supervision.tell("error", code=int(ending.code), sentence=ending.sentence[:2000])
    exits.report(ending, silent=supervision.active)
    return ending.code


def _out_of_memory(error: BaseException, role: str) -> NoReturn:
    """End the process like one that was killed: under a supervisor, another one takes its place."""
    try:
        sentence = f"{role} ran out of memory" + (f": {error}" if str(error) else "")
        exits.report(Ending(Exit.OUT_OF_MEMORY, sentence, trimmed_traceback(error)))
    finally:  # there may be no memory to say it, nor for an orderly end
        os._exit(Exit.OUT_OF_MEMORY)


def _given(command: str, options: argparse.Namespace) -> Endpoints:
    return Endpoints({key: getattr(options, key) for key in OF_ROLE[command]}, os.environ)


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        f"zmqpipeline {command}",
        description=_HELP.get(command),
        epilog="An endpoint's option goes before its environment variable, and that before the file.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="a Python file, or the dotted path of a module")
    parser.add_argument("name", metavar="NAME", nargs="?", help="which one, if the file declares several")
    for key in OF_ROLE[command]:
        override = OVERRIDES[key]
        parser.add_argument(
            override.option,
            action="append",
            metavar=override.metavar,
            help=f"{override.text} (environment: {override.variable})",
        )
    if command == "distributor":
        parser.add_argument(
            "--journal",
            metavar="PATH",
            help=f"write the run down there, or go on with the one there (environment: {build.JOURNAL})",
        )
    parser.add_argument(
        "--keys",
        metavar="FOLDER",
        help=f"the folder with the keys for connections over tcp (environment: {access.VARIABLE})",
    )
    parser.add_argument(
        "--log-level",
        choices=logs.LEVELS,
        help=f"what is logged, by default info (environment: {logs.VARIABLE})",
    )
    parser.add_argument(
        jsonlines.OPTION,
        action="store_true",
        help=f"write everything on stderr as objects of JSON, one a line (environment: {jsonlines.VARIABLE})",
    )
    parser.add_argument("--stop-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--status-fd", type=int, help=argparse.SUPPRESS)
    return parser
