"""Runs the tests in two processes at a time: ``python -m tests``, with options of pytest.

Most tests wait, for processes that start and for what they say, so one process of pytest leaves half of two
cores unused. With the path of a test among the options there is one process. What the second one writes is
shown when the first is done.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

#: what the second process runs, which takes about as long as everything else
SECOND = (
    "tests/roles",
    "tests/system/browser/test_page.py",
    "tests/system/test_cli_logs.py",
    "tests/system/test_examples.py",
    "tests/system/test_flow.py",
    "tests/system/test_journal.py",
    "tests/system/test_liveness.py",
    "tests/system/test_matrix_run.py",
    "tests/system/test_matrix_script.py",
    "tests/system/test_start_order.py",
    "tests/typing",
    "tests/unit",
)
#: pytest's exit code where no test is chosen
_NO_TESTS = 5


def main(options: list[str]) -> int:
    """Run pytest with these options; return its exit code."""
    # the script: python -m pytest would take the package from this folder, whichever is installed
    pytest = [str(Path(sys.executable).with_name("pytest")), *options]
    if any(option.startswith("tests") for option in options):
        return subprocess.run(pytest, check=False).returncode
    rest = [f"--ignore={path}" for path in SECOND]
    with tempfile.TemporaryFile() as said:
        own = ["-o", "cache_dir=.pytest_cache/second"]
        with subprocess.Popen([*pytest, *own, *SECOND], stdout=said, stderr=said) as second:
            first = subprocess.run([*pytest, *rest], check=False).returncode
        said.seek(0)
        sys.stdout.buffer.write(said.read())
        sys.stdout.flush()
    codes = {first, second.returncode}
    return next(iter(codes - {0, _NO_TESTS}), min(codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
