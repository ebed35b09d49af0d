"""The commands that need click and rich."""

from __future__ import annotations

import os

import click

from zmqpipeline import __version__
from zmqpipeline.cli import build, exits, jsonlines, logs, options, roles
from zmqpipeline.cli import reload as reloading
from zmqpipeline.cli import run as running
from zmqpipeline.cli.dashboard import dashboard
from zmqpipeline.cli.doctor import doctor
from zmqpipeline.cli.endpoints import Endpoints
from zmqpipeline.cli.exits import CommandError
from zmqpipeline.cli.keys import keys as keys_group
from zmqpipeline.cli.metrics import metrics
from zmqpipeline.cli.program import ROLES
from zmqpipeline.cli.status import status
from zmqpipeline.cli.top import top

_BENCH = "bench"


class _Group(click.Group):
    """Imports what ``bench`` needs only for that: it is a quarter of what ``run`` would import."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List all commands by name."""
        return sorted([*super().list_commands(ctx), _BENCH])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command by its name."""
        if cmd_name == _BENCH:
            from zmqpipeline.cli.bench import bench  # noqa: PLC0415

            return bench
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="zmqpipeline")
def group() -> None:
    """Distribute tasks over ZeroMQ, each role as a process.

    FILE is a Python file, or the dotted path of a module, that declares Tasks, Workers, a Collector
    and the like.
    """


@group.command()
@click.argument("file", metavar="FILE")
@click.option(
    "-w",
    "--workers",
    type=click.IntRange(min=1),
    help="Processes of each worker class; by default one for each core.",
)
@options.endpoints
@options.journal
@options.keys
@click.option("--log-level", type=click.Choice(logs.LEVELS), help="What is logged, by default info.")
@click.option(
    jsonlines.OPTION,
    is_flag=True,
    expose_value=False,  # whoever is to know it knows it before: see __main__.py
    help=f"Write everything on stderr as objects of JSON, one a line (environment: {jsonlines.VARIABLE}).",
)
@click.option("--reload", is_flag=True, help="Start roles again whose file has changed (needs watchfiles).")
def run(  # noqa: PLR0913, PLR0917 - one for each option
    file: str,
    workers: int | None,
    journal: str | None,
    keys: str | None,
    log_level: str | None,
    reload: bool,
    **given_endpoints: tuple[str, ...],
) -> int:
    """Run every role that FILE declares, each as a process, until the work is done.

    A worker that crashes is started again. The first Ctrl-C finishes what is under way, the second
    stops at once, the third kills.
    """
    given = Endpoints(given_endpoints, os.environ)
    environ = given.environment()
    build.use_journal(journal, environ)
    build.use_keys(keys, environ)
    if log_level is not None:
        environ[logs.VARIABLE] = log_level
    if reload:
        return reloading.run(file, workers, given.arguments(), environ)
    return running.run(file, workers, given.arguments(), environ).code


def _role_command(name: str) -> click.Command:
    """Make a command that is only there to be listed: one that is run takes a way without click."""

    @click.pass_context
    def passed_on(context: click.Context) -> int:
        return roles.main(name, context.args)

    return click.Command(
        name,
        callback=passed_on,
        help=roles.help_of(name),
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


group.add_command(dashboard)
group.add_command(doctor)
group.add_command(keys_group)
group.add_command(metrics)
group.add_command(status)
group.add_command(top)
for _name in ROLES:
    group.add_command(_role_command(_name))


def main(arguments: list[str]) -> int:
    """Run a command of this module; return the exit code."""
    try:
        return group.main(arguments, prog_name="zmqpipeline", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return exits.Exit.INTERRUPTED
    except CommandError as error:
        exits.report(exits.of_exception(error, "zmqpipeline"))
        return error.code
