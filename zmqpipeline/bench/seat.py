"""The other end of a :class:`~zmqpipeline.bench.crew.Crew`: what runs one role in a process of its own.

It imports nothing of the package, and is run and given its role as files: so
the process of a contender has nothing in it but what that contender imports.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

#: where it is told to go on, in bytes: one for each time
_ORDERS = 0


class Post:
    """What a role says to whoever measures, and hears from there.

    Parameters
    ----------
    descriptor
        where its words go

    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._released = threading.Semaphore(0)
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, word: str, **values: Any) -> None:
        """Say something."""
        line = json.dumps({"word": word, **values}).encode() + b"\n"
        while line:
            line = line[os.write(self._descriptor, line) :]

    def wait(self) -> None:
        """Wait until told to go on."""
        self._released.acquire()

    def meet(self) -> None:
        """Say that all is prepared, and wait for the others."""
        self.tell("prepared")
        self.wait()

    def _listen(self) -> None:
        while os.read(_ORDERS, 1):
            self._released.release()
        os._exit(1)  # whoever measures is gone


def peak_memory() -> float:
    """Tell how much memory this process has had at most, in MiB.

    Linux counts in getrusage() what the parent had when it forked as well, so it is asked otherwise there.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        status = ""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    import resource  # noqa: PLC0415 - not needed on Linux

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def load(file: str, name: str) -> Any:
    """Load a function from a file, without the packages that the file is in."""
    spec = importlib.util.spec_from_file_location("zmqpipeline_bench_role", file)
    assert spec is not None  # noqa: S101 - it is a Python file
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return getattr(module, name)


def main() -> None:
    """Run the role that the command line names, and tell how it ended."""
    order = json.loads(sys.argv[1])
    post = Post(order["descriptor"])
    load(order["file"], order["function"])(post, **order["arguments"])
    post.tell("ended", memory=peak_memory())


if __name__ == "__main__":
    main()
