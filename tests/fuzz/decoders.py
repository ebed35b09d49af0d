"""Look for bytes that a decoder does not take, guided by which of its lines they reach.

``python tests/fuzz/decoders.py TARGET [libFuzzer's options]`` needs atheris, and runs for ten minutes unless
``-max_total_time`` says otherwise. What it finds is written to the working directory: move it to
``tests/fuzz/crashes/TARGET-what-it-was``, where the tests run it from then on. It begins with bad messages,
and what it has learned is kept in ``.atheris/TARGET``, where the next run goes on.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

#: how long it looks, in seconds, if nothing else is said
SECONDS = 600
ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Fuzz the target that the first argument names; return an exit code if atheris does not exit."""
    sys.path.insert(0, str(ROOT))
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.stderr.write("atheris is missing: install it with 'pip install atheris' and run this again\n")
        return 1
    with atheris.instrument_imports(include=["zmqpipeline"]):
        module = importlib.import_module("tests.fuzz.targets")
    targets = module.TARGETS
    if not arguments or arguments[0] not in targets:
        sys.stderr.write(f"name a target first, one of {', '.join(sorted(targets))}\n")
        return 2
    name, *options = arguments
    if not any(option.startswith("-max_total_time=") for option in options):
        options.append(f"-max_total_time={SECONDS}")
    corpus = Path(".atheris", name)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(module.seeds(name)):
        corpus.joinpath(f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *options, str(corpus)], targets[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
