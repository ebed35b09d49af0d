"""Results that do not come: they are made again, and a collector that hangs is not buried under copies."""

from __future__ import annotations

from tests.unit.test_taskbook import A, Case, ids


def finished(case: Case) -> None:
    """Have a worker finish all that it is given."""
    case.hand_out()
    case.link.to(A)
    case.beat(A, 1000)


def test_nothing_is_made_again_while_the_collector_is_silent() -> None:
    case = Case(1, ack_timeout=10, patience=1e9)
    case.join(A, 5)
    finished(case)
    for _ in range(1000):  # it is in the middle of a result, or stopped
        case.now += 1
        case.book.tick(case.now)
    assert case.given(A) == []
    # it goes on, and first reads what has come in the meantime
    case.tick(9)
    assert case.given(A) == []
    case.tick(3)
    assert ids(case.given(A)) == [0]


def test_a_collector_is_not_silent_because_the_distributor_pings_more_often() -> None:
    case = Case(1, ack_timeout=10, patience=1e9, ping_interval=0.1)
    case.join(A, 5)
    finished(case)
    for _ in range(11):
        case.tick(1)
    assert ids(case.given(A)) == [0]


def test_failures_are_not_reported_again_while_the_collector_is_silent() -> None:
    case = Case(1, ack_timeout=10, patience=1e9)
    case.source.max_attempts = 1
    case.join(A, 1)
    (batch,) = case.given(A)
    case.fail(A, batch)
    reports = 0
    for _ in range(1000):
        case.now += 1
        case.book.tick(case.now)
        case.book.report_failures()
        reports += len(case.link.told())
    assert reports == 1
    case.tick(9)
    case.tick(3)
    case.book.report_failures()
    assert len(case.link.told()) == 1


def test_what_stays_away_again_is_waited_for_longer() -> None:
    case = Case(1, ack_timeout=10, patience=1e9)
    case.join(A, 5)
    times = []
    for _ in range(4):
        finished(case)
        begun = case.now
        while not case.ledger.has_waiting:
            case.tick(1)
        times.append(case.now - begun)
    assert times == [11, 21, 41, 41]


def test_a_failure_that_is_not_acknowledged_is_reported_ever_less_often() -> None:
    case = Case(1, ack_timeout=10, patience=1e9)
    case.source.max_attempts = 1
    case.join(A, 1)
    (batch,) = case.given(A)
    case.fail(A, batch)
    times = []
    for _ in range(5):
        begun = case.now
        case.book.report_failures()
        while not case.link.told():
            case.tick(1)
            case.book.report_failures()
        times.append(case.now - begun)
    assert times == [0, 11, 21, 41, 41]
