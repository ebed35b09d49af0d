"""Every code block of every page is run or checked by a test, which is named here."""

from __future__ import annotations

import pytest

from tests.pages import NOT_TYPED, ROOT, blocks, pages
from tests.system.reader import commands

TUTORIAL = "tests/system/test_tutorial.py"
READER = "tests/system/test_pages.py"
#: workers that were written from the page alone
WORKERS = "tests/system/test_node_worker.py::test_takes_part_in_a_run"

#: which test runs or checks what a page shows in a language
TESTED = {
    "README.rst": {
        "python": f"{TUTORIAL}::test_the_readmes_pipeline_runs_and_shows_what_the_readme_shows",
        "text": f"{TUTORIAL}::test_the_readmes_pipeline_runs_and_shows_what_the_readme_shows",
        "console": f"{TUTORIAL}::test_the_readmes_commands_are_those_of_a_fresh_machine",
    },
    "CONTRIBUTING.rst": {"console": f"{READER}::test_the_checks_of_contributing_are_those_of_tox"},
    "docs/index.rst": {"console": f"{READER}::test_the_first_commands_of_all"},
    "docs/installation.rst": {"console": f"{READER}::test_what_is_installed_works"},
    "docs/quickstart.rst": {
        "python": f"{TUTORIAL}::test_each_program_of_the_quickstart_does_what_that_says",
        "console": f"{TUTORIAL}::test_the_quickstart_shows_what_one_sees",
    },
    "docs/tutorial.rst": {
        "python": f"{TUTORIAL}::test_each_block_executes_as_it_stands",
        "text": f"{TUTORIAL}::test_the_message_types_are_those_of_the_tutorial",
    },
    "docs/guide.rst": dict.fromkeys(
        ("python", "console"), "tests/system/test_guide_docs.py::test_the_guide_does_what_it_shows"
    ),
    "docs/hosts.rst": dict.fromkeys(
        ("python", "console", "text"),
        "tests/system/test_hosts_docs.py::test_three_machines_over_tcp_with_keys",
    ),
    "docs/command.rst": {
        "console": f"{READER}::test_the_commands_on_the_page_about_them",
        "text": "tests/unit/test_synopses.py::test_each_synopsis_is_that_of_the_command",
        "json": "tests/unit/test_synopses.py::test_the_line_of_the_log_has_the_names_below_it",
    },
    "docs/concepts.rst": {"python": "tests/system/test_examples.py::test_database"},
    "docs/journal.rst": dict.fromkeys(
        ("python", "console"), "tests/system/test_journal.py::test_the_page_about_it_does_what_it_says"
    ),
    "docs/testing.rst": {
        "python": "tests/unit/test_testing_docs.py::test_the_tests_of_the_page_pass",
        "text": "tests/unit/test_testing_docs.py::test_the_line_of_the_history_looks_so",
        "console": "tests/system/test_chaos.py::test_faults_break_no_guarantee",
    },
    "docs/performance.rst": {"console": "tests/unit/test_synopses.py::test_the_measurements_can_be_repeated"},
    "docs/monitoring.rst": {
        "console": f"{READER}::test_a_run_is_watched_as_the_page_says",
        "text": "tests/unit/test_monitor_terminal.py::test_the_documented_picture_is_this_one",
        "python": "tests/roles/test_monitor_client.py::test_the_documented_program_works",
    },
    "docs/dashboard.rst": {
        "console": "tests/system/test_cli_dashboard.py::test_the_page_is_there_until_a_signal"
    },
    "docs/metrics.rst": {
        "console": "tests/system/test_cli_metrics.py::test_a_real_run_in_numbers",
        "yaml": "tests/unit/test_synopses.py::test_prometheus_asks_where_the_metrics_are",
        "text": "tests/unit/test_synopses.py::test_prometheus_asks_where_the_metrics_are",
    },
    # it includes a module, which mypy checks
    "docs/reference.rst": {"python": "tests/roles/test_monitor_client.py::test_it_shows_its_keys"},
    "docs/protocol.rst": {
        "abnf": WORKERS,
        "text": WORKERS,
    },
    "docs/protocol_service.rst": dict.fromkeys(
        ("abnf", "text"), "tests/roles/test_service.py::test_a_request_is_answered"
    ),
}

PAGES = [path.relative_to(ROOT).as_posix() for path in pages()]


@pytest.mark.parametrize("page", PAGES)
def test_each_block_is_claimed_by_a_test(page: str) -> None:
    found = {block.language for block in blocks(ROOT / page)}
    assert found - set(TESTED.get(page, {})) == set(), f"{page}: name the test that runs these blocks"
    assert set(TESTED.get(page, {})) - found == set(), f"{page} has no such blocks any more"


def test_each_test_that_is_named_is_there() -> None:
    for path, _, name in {by.partition("::") for claims in TESTED.values() for by in claims.values()}:
        text = ROOT.joinpath(path).read_text(encoding="utf-8")
        assert f"\ndef {name}(" in text, f"{path} has no {name}"


@pytest.mark.parametrize("page", PAGES)
def test_no_block_hides_behind_two_colons(page: str) -> None:
    text = ROOT.joinpath(page).read_text(encoding="utf-8")
    lines = [line for line in text.split("\n") if line.endswith("::") and not line.lstrip().startswith("..")]
    assert lines == [], "use .. code-block::, which says what it is"


def test_what_nobody_types_is_on_a_page() -> None:
    typed = [
        typed.command
        for path in pages()
        for block in blocks(path)
        if block.language == "console"
        for typed in commands(block)
    ]
    assert [words for words in NOT_TYPED if not any(line.startswith(words) for line in typed)] == []
