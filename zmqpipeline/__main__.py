"""The ``zmqpipeline`` command, also as ``python -m zmqpipeline``."""

from __future__ import annotations

import sys

#: the modules of the extra; only if one of these is missing does installing it help
_EXTRA = {"click", "rich"}


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    A role's command imports nothing beyond the core; everything else needs the
    extra ``cli``.

    Parameters
    ----------
    arguments
        what stands behind the command's name; None for this process' own

    Returns
    -------
    int
        the exit code, see :class:`zmqpipeline.cli.exits.Exit`

    """
    from zmqpipeline.cli import streams  # noqa: PLC0415 - see _startup.py
    from zmqpipeline.cli.starting import StoppedEarly, stoppable  # noqa: PLC0415

    streams.fill()
    given = sys.argv[1:] if arguments is None else arguments
    try:
        with stoppable():
            return _main(given)
    except StoppedEarly as stopped:
        from zmqpipeline.cli.exits import say  # noqa: PLC0415

        # a process of a run is stopped by the supervisor, which says why
        if not any(argument.startswith("--stop-fd=") for argument in given):
            say(stopped.sentence)
        return int(stopped.code or 0)


def _main(arguments: list[str]) -> int:
    from zmqpipeline.cli.endpoints import OF_ROLE  # noqa: PLC0415 - a way of its own for each kind of command
    from zmqpipeline.cli.jsonlines import is_wanted, speak  # noqa: PLC0415
    from zmqpipeline.cli.program import ROLES  # noqa: PLC0415

    command = arguments[0] if arguments else ""
    if (command in OF_ROLE or command == "run") and is_wanted(arguments):
        # before anything else can go wrong
        speak(command if command in ROLES else "run")
    if command in OF_ROLE:
        from zmqpipeline.cli import roles  # noqa: PLC0415

        return roles.main(command, arguments[1:])
    try:
        from zmqpipeline.cli import app  # noqa: PLC0415
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        from zmqpipeline.cli.exits import Exit, say  # noqa: PLC0415

        say('the command needs click and rich: pip install "zmqpipeline[cli]"')
        return Exit.MISSING_EXTRA
    return app.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
