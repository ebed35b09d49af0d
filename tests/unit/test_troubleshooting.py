"""docs/troubleshooting.rst has an entry for each sentence that the library prints when something is wrong."""

from __future__ import annotations

import re

from tests.pages import DOCS
from tests.unit.sentences import GAP, Sentence, sentences, templates

PAGE = DOCS / "troubleshooting.rst"

#: what is in these files is no error, and why
NOT_HERE = {
    "zmqpipeline/testing/chaos/": "findings of the soak, which docs/testing.rst explains",
    "zmqpipeline/delivery/calls.py": "names of decisions, never shown",
    "zmqpipeline/monitor/families.py": "help of the metrics, which docs/metrics.rst explains",
    "zmqpipeline/bench/rows.py": "stands below the table of figures",
    "zmqpipeline/bench/latency.py": "names of what is measured, as those that follow",
    "zmqpipeline/bench/long.py": "",
    "zmqpipeline/bench/machine.py": "",
    "zmqpipeline/bench/mixed.py": "",
    "zmqpipeline/bench/payload.py": "",
    "zmqpipeline/bench/sample.py": "",
    "zmqpipeline/bench/sleep.py": "",
}

#: the same for single texts: parts of other sentences
NOT_ALONE = {
    "who is waited for": (
        "the collector at …", "the collector of …", "the distributor at …",
        "the distributor behind …", "the distributor of …", "the distributor's answer",
        "the distributor, at …", "the worker of …", "each worker of …", "the broker at …",
    ),
    "what a signal lets finish": (
        "the results that are on their way", "the tasks that are under way", "the tasks that it has begun",
        "the requests that run", "the request that it has", "what is under way", ", for … s at most",
    ),
    "what the second signal does": (
        "refuses them and stops at once", "stops at once", "stops at once and gives it back",
        "stops at once and gives its tasks back",
    ),
    "whose address it is, or what it is for": (
        "the distributor's metadata", "the distributor's monitor", "the task type …",
        "where a task type is handed out: the distributor or service, as its workers see it",
        "where the collector takes results", "where the collector sends acknowledgements",
        "where the distributor takes metadata", "where the distributor shows its run",
        "where a service takes requests", "where a service's workers connect",
    ),
    "help of a command": (
        "Hand out the Tasks of FILE.", "Run a Worker of FILE.", "Run the Collector of FILE.",
        "Run the MetaDataWorker of FILE.", "Run a Service of FILE.", "Run a ServiceWorker of FILE.",
        "zmqpipeline keys authorize NAME … --keys FOLDER",
    ),
    "what was expected, behind the comma": (
        "workers in a second", ", an instance that is made when the file is loaded", "a list with a …",
    ),
    "what is measured, and how it is shown": (
        "it said nothing", "more is better", "less is better", "zmqpipeline, four roles",
        "import, and the start of each role, beside bare sockets",
        "tasks that do nothing, beside bare sockets with batches of 1000",
        "; the cases that were done are in …",
    ),
    "a finding of doctor that all is well, or a part of a finding": (
        "nothing is wrong",
        "; the socket file there was left behind by a process that has ended, and is replaced",
        "… can be bound (…)…", "the task type … has the Task … and the Worker …",
        "the role that binds it (…)", "has a run that is not finished, which goes on",
        "can be written, for a new run", "zmqpipeline …, not installed, from …",
        "… … (… or newer is needed)", "a process may open any number of files",
        "a process may open … files, and each connection is one",
        "… can be used to connect, with the public key …", "… can be used to bind, and lets in …",
        "it is process …", "nobody answers there", "a ZeroMQ socket …", "what answers there is …",
        "… is reached, and a ZeroMQ socket … answers (…)", " in the folder …", "… is let in at …",
        "…; take one of these dependencies out",
    ),
    "Python says it, and it is only translated": ("module 'zmqpipeline' has no attribute …",),
    "what a doctor finds in order": (
        "nothing is wrong", "… can be bound (…)…", "the task type … has the Task … and the Worker …",
        "; the socket file there was left behind by a process that has ended, and is replaced",
        "has a run that is not finished, which goes on", "can be written, for a new run",
        "zmqpipeline …, not installed, from …", "… … (… or newer is needed)",
        "a process may open any number of files", "a process may open … files, and each connection is one",
        "… can be used to connect, with the public key …", "… can be used to bind, and lets in …",
        "… is reached, and a ZeroMQ socket … answers (…)", "… is let in at …",
        "give the … of a run to compare the versions of its processes with this one",
        "no run is shown at … now, so there are no versions to compare",
        "… processes of the run have", "one process of the run has",
        "… zmqpipeline …, as this host has (…)",
    ),
    "of whom a doctor says it, and what it adds": (
        "the role that binds it (…)", "it is process …", "nobody answers there", "a ZeroMQ socket …",
        "what answers there is …", " in the folder …",
    ),
    "what a run with --reload is at": (
        "stopped by … while it waited for a change", "waiting for a change in …; Ctrl-C ends",
        "…: all roles are finishing what is under way, to begin again",
        "…: … … finishing what is under way, to begin again",
        "what runs goes on as it was, until the program can be loaded again",
    ),
    "logged for information, or the history of a test": (
        "client … is …, its answer is dropped", "after a commit", "… (to be started again)",
        "Distributor: waiting for … tasks that are under way", "…: waiting for the tasks that it has begun",
        "… is of a run that is finished: it is cleared for a new one", "waiting for the broker at …",
        "resuming the run of the journal …: … tasks are acknowledged, … are handed out again",
        "… is connected to the broker at …", ", … handed out again",
        "stopped by … while it waited for a change", "waiting for a change in …; Ctrl-C ends",
        "…: all roles are finishing what is under way, to begin again",
        "…: … … finishing what is under way, to begin again",
        "what runs goes on as it was, until the program can be loaded again",
    ),
}  # fmt: skip
PARTS = {text for texts in NOT_ALONE.values() for text in texts}
#: headings that no single text of the code has
OF_PARTS = {"class ...: ... is ... (...), expected ...", "cannot make ...: ..."}
#: statements of SQL, of Python for a fresh interpreter, and of a policy for browsers
CODE = re.compile("(SELECT|INSERT|DELETE|CREATE|UPDATE|import|from|default-src) ")


def headings() -> list[str]:
    """List the headings of the second level."""
    return re.findall(r"^(.+)\n-{4,}$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def entries() -> list[str]:
    """List the headings of the page, and what is quoted below them."""
    text = PAGE.read_text(encoding="utf-8")
    quoted = re.findall(r'"((?:[^"\n]|\n(?!\n))+)"', re.sub(r"``|^.+\n-{4,}$", "", text, flags=re.MULTILINE))
    return [" ".join(entry.replace("...", GAP).split()) for entry in [*headings(), *quoted]]


def pattern(template: str) -> re.Pattern[str]:
    """Make a pattern of a text with gaps; what is around it does not matter."""
    parts = re.split(f"{GAP}+", " ".join(template.split()).strip(f"{GAP}:,;. "))
    return re.compile(".*?".join(re.escape(part) for part in parts))


def says_something(template: str) -> bool:
    return len(re.findall(r"[A-Za-z]{2,}", template)) >= 2


ENTRIES = [entry for entry in entries() if says_something(entry)]
PATTERNS = [pattern(entry) for entry in ENTRIES]


def is_explained(sentence: Sentence) -> bool:
    """Tell whether an entry says the same, or a part of it, or more."""
    text, wanted = " ".join(sentence.text.split()), pattern(sentence.text)
    return any(entry.search(text) for entry in PATTERNS) or any(map(wanted.search, ENTRIES))


SENTENCES = [
    found
    for found in sentences()
    if not (found.where.startswith(tuple(NOT_HERE)) or found.text in PARTS or CODE.match(found.text))
]


def test_each_sentence_has_an_entry() -> None:
    assert len(SENTENCES) > 250
    missing = [found for found in SENTENCES if not is_explained(found)]
    lines = "\n".join(f"{found.where}: {found.text}" for found in missing)
    assert missing == [], f"give these a heading on the page, or an entry in quotes there:\n{lines}"


def test_each_heading_is_of_a_sentence() -> None:
    texts = [" ".join(found.text.split()) for found in templates()]
    wanted = [pattern(text) for text in texts if says_something(text)]
    for heading in set(headings()) - OF_PARTS:
        longest = max(re.split(r"\.\.\.|[,:;] ", heading), key=len).strip()
        assert any(longest in text for text in texts) or any(it.search(heading) for it in wanted), heading


def test_what_is_left_out_is_still_there() -> None:
    texts = {found.text for found in sentences()}
    assert PARTS - texts == set()


def test_a_new_sentence_is_found() -> None:
    assert not is_explained(Sentence("", f"the cat of {GAP} sleeps: wake it, or leave it alone"))
