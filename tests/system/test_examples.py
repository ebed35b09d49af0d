"""The examples: each is run by the command in its README, and does what that says."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import zmqpipeline

if TYPE_CHECKING:
    from collections.abc import Iterable

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/app.py"))

#: only against hanging
GUARD = 150

pytestmark = pytest.mark.timeout(180)


class Readme(NamedTuple):
    """What a README promises."""

    commands: list[str]
    output: list[str]


class Done(NamedTuple):
    """What a command has done."""

    code: int
    stdout: list[str]
    stderr: list[str]
    files: set[str]


def readme(name: str) -> Readme:
    indented = re.findall(r"^ {4}(.+)$", (EXAMPLES / name / "README.rst").read_text("utf-8"), re.MULTILINE)
    commands = [line for line in indented if re.match(r"(zmqpipeline|python) ", line)]
    return Readme(commands, [line for line in indented if line not in commands and line != "..."])


def without_numbers(line: str) -> str:
    """Make lines comparable that differ in counts, times, ids of processes and of runs."""
    return re.sub(r"[\d.]+", "0", re.sub(r"\b[0-9a-f]{32}\b", "0", " ".join(line.split())))


def said(lines: list[str], role: str) -> list[str]:
    """Choose the lines that a role printed, without what the run puts in front of them."""
    return [found[1] for line in lines if (found := re.fullmatch(rf"{role}\[\d+\] (.*)", line))]


def processes_in(folder: Path) -> list[str]:
    """List the processes that work in a folder, where the system tells."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or belongs to somebody else
            if (process / "cwd").readlink() == folder:
                found.append(f"{process.name}: {(process / 'cmdline').read_bytes()!r}")
    return found


class Folder:
    """A working directory with the examples in it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        shutil.copytree(EXAMPLES, path / "examples", ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, command: str) -> Done:
        """Run a command as somebody who has installed the library would; see that nothing of it is left."""
        words = shlex.split(command)
        program = {"zmqpipeline": ["-m", "zmqpipeline"], "python": []}[words[0]]
        before = self._files()
        done = subprocess.run(
            [sys.executable, *program, *words[1:]],
            cwd=self.path,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=GUARD,
            check=False,
        )
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        assert processes_in(self.path) == []
        made = self._files() - before
        assert not [name for name in made if "ipc" in name]
        return Done(done.returncode, done.stdout.splitlines(), done.stderr.splitlines(), made)

    def run_example(self, name: str) -> Done:
        """Run the command in a README; see that it prints what the README says."""
        promised = readme(name)
        done = self.run(promised.commands[0])
        assert done.code == 0
        assert "Traceback" not in "".join(done.stderr)
        assert "Assertion failed" not in "".join(done.stderr)
        printed = {without_numbers(line) for line in done.stdout + done.stderr}
        assert [line for line in promised.output if without_numbers(line) not in printed] == []
        return done

    def _files(self) -> set[str]:
        return {entry.name for entry in self.path.iterdir()}

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ZMQPIPELINE_")}
        library = str(Path(zmqpipeline.__file__).parents[1])
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [library, kept.get("PYTHONPATH")]))
        return kept


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_readme_has_one_command_that_is_tested_here(name: str) -> None:
    promised = readme(name)

    assert len(promised.commands) == 1
    assert f"examples/{name}/app.py" in promised.commands[0]
    assert promised.output
    assert f"test_{name}" in globals()


def test_the_list_of_the_examples_is_complete() -> None:
    listed = re.findall(r"^``(\w+)``$", (EXAMPLES / "README.rst").read_text("utf-8"), re.MULTILINE)

    assert sorted(listed) == NAMES


# -- the original's seven ------------------------------------------------------


def test_single_threaded(folder: Folder) -> None:
    done = folder.run_example("single_threaded")

    (line,) = said(done.stdout, "Clock")
    assert line.startswith("100 tasks, 1.00 s of work, in ")
    assert done.files == set()


def test_sequential(folder: Folder) -> None:
    done = folder.run_example("sequential")

    loop, one, two = (
        done.stdout.index(f"{how}:") for how in ("in a plain loop", "with --workers 1", "with --workers 2")
    )
    assert loop < one < two
    assert len([line for line in done.stdout if "100 tasks in " in line]) == 3
    assert done.files == set()


def test_multi_threaded(folder: Folder) -> None:
    done = folder.run_example("multi_threaded")

    (line,) = said(done.stdout, "Clock")
    assert line.startswith("100 tasks, 1.00 s of work, in ")
    assert done.files == set()


def test_async(folder: Folder) -> None:
    done = folder.run_example("async")

    pages, waited = said(done.stdout, "Clock")
    assert pages == "200 pages, 4090 characters"
    found = re.fullmatch(r"([\d.]+) s of waiting in ([\d.]+) s", waited)
    assert found is not None
    assert float(found[1]) >= 20
    assert done.files == set()


def test_dependencies(folder: Folder) -> None:
    done = folder.run_example("dependencies")

    assert said(done.stdout, "Shop") == [
        "20 loaves are mixed when the first comes out of the oven",
        "20 loaves are baked at the end",
    ]
    assert done.files == set()


def test_iterable(folder: Folder) -> None:
    done = folder.run_example("iterable")

    table = [line.split() for line in said(done.stdout, "Table")]
    assert [float(gravity) for _, gravity, _ in table] == [25.9, 11.3, 11.2, 9.8, 9.0, 8.9, 3.7, 3.7]
    assert [name for name, *_ in table[:3]] == ["Jupiter", "Neptune", "Saturn"]
    assert done.files == set()


def test_metadata(folder: Folder) -> None:
    done = folder.run_example("metadata")

    assert sorted(said(done.stdout, "Host")) == ["Hello, Ada!", "Hello, Grace!", "Hello, Katherine!"]
    assert done.files == set()


def test_service(folder: Folder) -> None:
    done = folder.run_example("service")

    assert done.stdout == readme("service").output
    assert done.files == set()


def test_logging(folder: Folder) -> None:
    done = folder.run_example("logging")

    collected = [line for line in said(done.stderr, "Quotients") if "collected" in line]
    assert sorted(re.findall(r"collected (\d+)", "".join(collected))) == ["12", "4", "6"]
    assert done.stdout == []
    assert done.files == {"pipeline.log"}
    assert (folder.path / "pipeline.log").read_text("utf-8").splitlines() == said(done.stderr, "Quotients")


# -- the database ----------------------------------------------------------------


def rows(path: Path) -> list[tuple[int, str]]:
    """Read what the collector has written, in the order of the numbers."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return database.execute("SELECT number, factors FROM factors ORDER BY number").fetchall()


def test_database(folder: Folder) -> None:
    done = folder.run_example("database")

    assert done.files == {"factors.sqlite"}
    found = rows(folder.path / "factors.sqlite")
    assert [number for number, _ in found] == list(range(2, 2001))
    assert all(math.prod(map(int, factors.split())) == number for number, factors in found)


def test_the_database_has_each_row_once_if_the_collector_is_killed(folder: Folder) -> None:
    (folder.path / "elsewhere.py").write_text("""
import os, pathlib, signal, sys, threading
sys.path.insert(0, "examples/database")
import app, zmqpipeline.collector, zmqpipeline.role
from app import Factors, Numbers

# so that results are soon done again that died with their collector
zmqpipeline.collector.HEARTBEAT = zmqpipeline.role.Role.heartbeat_interval = 0.1

def die(when):
    died = pathlib.Path(f"died {when}")
    if not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)

class Mortal(app.Table):
    def handle_collection(self, data, task_type, msgtype):
        before = self.database.total_changes
        if data["number"] in {10, 1999}:
            die(f"before {data['number']}")
        super().handle_collection(data, task_type, msgtype)
        if self.database.total_changes == before:
            pathlib.Path("written before").touch()
        if data["number"] in {1500, 2000}:
            die(f"behind {data['number']}")
        if data["number"] == 1000:
            threading.Thread(target=die, args=["somewhere"]).start()
""")

    done = folder.run("zmqpipeline run elsewhere.py")

    assert done.code == 0
    assert len([name for name in done.files if name.startswith("died ")]) == 5
    assert "written before" in done.files, "no result came twice: the test proves nothing"
    assert [number for number, _ in rows(folder.path / "factors.sqlite")] == list(range(2, 2001))
    (line,) = said(done.stdout, "Mortal")
    assert line == "1999 numbers in factors.sqlite, 303 of them are prime"


# -- the log analysis --------------------------------------------------------------


LOGS = EXAMPLES / "loganalysis"


def test_loganalysis(folder: Folder) -> None:
    done = folder.run_example("loganalysis")

    assert done.files == {"counts.sqlite", "logs", "unpacked", "week.svg"}
    shown = [line for line in readme("loganalysis").output if line.startswith("Report")]
    assert said(done.stdout, "Report") == said(shown, "Report")
    drawn = (folder.path / "week.svg").read_text("utf-8")
    assert drawn == (EXAMPLES.parent / "docs" / "_static" / "week.svg").read_text("utf-8")
    texts = [path.read_text("utf-8") for path in sorted((folder.path / "unpacked").iterdir())]
    assert [path.suffix for path in (folder.path / "unpacked").iterdir()] == [".log"] * 7
    # counted in the plainest way
    statuses = Counter(re.findall(r'" (\d)\d\d ', "".join(texts)))
    assert f"{statuses.total()} requests: {statuses['2']} with 2xx" in "".join(done.stdout)


def test_loganalysis_counts_once_whoever_is_killed(folder: Folder) -> None:
    (folder.path / "elsewhere.py").write_text("""
import os, pathlib, signal, sys
sys.path.insert(0, "examples/loganalysis")
import app, zmqpipeline.collector, zmqpipeline.role
from app import Settings, UnpackTask, Unpacker

# so that what has died is soon done again
zmqpipeline.collector.HEARTBEAT = zmqpipeline.role.Role.heartbeat_interval = 0.1

def die(who):
    if not pathlib.Path(f"died {who}").exists():
        pathlib.Path(f"died {who}").touch()
        os.kill(os.getpid(), signal.SIGKILL)

class Mortal(app.Report):
    collected = 0

    def handle_collection(self, data, task_type, msgtype):
        super().handle_collection(data, task_type, msgtype)
        self.collected += 1
        if self.collected == 12:
            die("collector")

class MortalTask(app.CountTask):
    def handle(self, data, address, msgtype):
        if self.position == 9:
            die("distributor")
        return super().handle(data, address, msgtype)

class MortalCounter(app.PieceCounter):
    def handle_execution(self, data, *args, **kwargs):
        if data["start"]:
            die("worker")
        return super().handle_execution(data)
""")

    done = folder.run("zmqpipeline run elsewhere.py --journal week.journal")

    assert done.code == 0
    assert {"died collector", "died distributor", "died worker"} <= done.files
    shown = [line for line in readme("loganalysis").output if line.startswith("Report")]
    assert said(done.stdout, "Mortal") == said(shown, "Report")


# -- the word count --------------------------------------------------------------


def count_words(paths: Iterable[Path]) -> Counter[str]:
    """Count in the plainest way."""
    counts: Counter[str] = Counter()
    for path in paths:
        for word in re.findall("[A-Za-z]+", path.read_bytes().decode("utf-8", "replace")):
            counts[word.lower()] += 1
    return counts


def python_files(top: Path) -> list[Path]:
    return [
        path
        for path in top.rglob("*.py")
        if path.is_file() and not {"site-packages", "dist-packages"}.intersection(path.relative_to(top).parts)
    ]


def test_wordcount(folder: Folder) -> None:
    paths = python_files(Path(sysconfig.get_path("stdlib")))
    expected = count_words(paths)

    done = folder.run_example("wordcount")

    assert done.files == {"wordcount.json"}
    found = json.loads((folder.path / "wordcount.json").read_text("utf-8"))
    assert found == expected
    headline, *table = said(done.stdout, "Sum")
    assert headline == f"{sum(expected.values())} words in {len(paths)} files, {len(expected)} different ones"
    ranking = sorted(expected.items(), key=lambda item: (-item[1], item[0]))
    assert [line.split() for line in table] == [[str(count), word] for word, count in ranking[:10]]
    assert list(found.items()) == ranking


#: has the word count look into another folder; more may be written behind it
ELSEWHERE = """
import os, pathlib, signal, sys
sys.path.insert(0, "examples/wordcount")
import app, zmqpipeline.collector, zmqpipeline.role
zmqpipeline.collector.HEARTBEAT = zmqpipeline.role.Role.heartbeat_interval = 0.1
app.FOLDER = "library"
from app import Files
"""


def test_wordcount_with_odd_files(folder: Folder) -> None:
    library = folder.path / "library"
    names = [
        "a space.py", "new\nline.py", "quote'\".py", "-dash.py", "{braces}%s.py", "\u00fcml\u00e4ut.py",
        "*.py", ".py", ".hidden.py", "x" * 100 + ".py", "sub/dir.py/in.py", os.fsdecode(b"latin-\xff.py"),
    ]  # fmt: skip
    for name in names:
        path = library / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_text("One two, TWO; three_Three3three")
        except OSError:
            assert not name.isprintable()  # not every file system takes bytes that are no text
    contents = {
        "empty.py": b"",
        "latin.py": b"caf\xe9 na\xc3\xafve \xff\xfeword\x00zero",
        "bom.py": b"\xef\xbb\xbfbom\r\nlines\rends\x0cfeed",
        # lower-cased, these become ASCII or hold it: KELVIN SIGN, I WITH DOT ABOVE
        "unicode.py": "\u212aelvin \u0130stanbul".encode(),
        "long.py": b"word " * 300_000,
    }
    for name, content in contents.items():
        (library / name).write_bytes(content)
    expected = count_words(python_files(library))
    assert expected["three"] >= 3 * (len(names) - 1)
    for skipped in ("site-packages/a.py", "sub/dist-packages/b.py", "notes.txt", "a.pyc"):
        path = library / skipped
        path.parent.mkdir(exist_ok=True)
        path.write_text("skipped")
    (library / "dangling.py").symlink_to("nowhere")
    os.mkfifo(library / "pipe.py")
    (folder.path / "elsewhere.py").write_text(f"{ELSEWHERE}from app import CountWords, Sum\n")

    done = folder.run("zmqpipeline run elsewhere.py")

    assert done.code == 0
    assert json.loads((folder.path / "wordcount.json").read_text("utf-8")) == expected


def test_wordcount_of_no_files(folder: Folder) -> None:
    (folder.path / "library").mkdir()
    (folder.path / "elsewhere.py").write_text(f"{ELSEWHERE}from app import CountWords, Sum\n")

    done = folder.run("zmqpipeline run elsewhere.py")

    assert done.code == 0
    assert json.loads((folder.path / "wordcount.json").read_text("utf-8")) == {}


def test_wordcount_writes_nothing_if_a_file_cannot_be_read(folder: Folder) -> None:
    (folder.path / "library").mkdir()
    for name in ("good.py", "bad.py"):
        (folder.path / "library" / name).write_text(name)
    (folder.path / "elsewhere.py").write_text(f"""{ELSEWHERE}
from app import Sum

class Careless(app.CountWords):
    def handle_execution(self, data, *args, **kwargs):
        if "bad" in data["path"]:
            raise PermissionError(data["path"])
        return super().handle_execution(data)
""")

    done = folder.run("zmqpipeline run elsewhere.py --workers 1")

    assert done.code not in {0, -9, -15}
    assert "wordcount.json is not written: 1 of 2 files were counted" in "".join(done.stderr)
    assert not [name for name in done.files if "wordcount" in name]


def test_wordcount_is_exact_or_not_written_if_the_collector_is_killed(folder: Folder) -> None:
    (folder.path / "library").mkdir()
    for number in range(50):
        (folder.path / "library" / f"{number}.py").write_text("word")
    (folder.path / "elsewhere.py").write_text(f"""{ELSEWHERE}
from app import CountWords

class Mortal(app.Sum):
    def handle_collection(self, data, task_type, msgtype):
        died = pathlib.Path("died")
        if self.files == 30 and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        super().handle_collection(data, task_type, msgtype)
""")

    done = folder.run("zmqpipeline run elsewhere.py")

    assert "died" in done.files
    if done.code == 0:
        assert json.loads((folder.path / "wordcount.json").read_text("utf-8")) == {"word": 50}
    else:
        assert "wordcount.json is not written" in "".join(done.stderr)
        assert not [name for name in done.files if "wordcount" in name]
