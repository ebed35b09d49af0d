"""What a heartbeat does about the hands of its worker, by how long they are in a call and in a round."""

from __future__ import annotations

from zmqpipeline.delivery.calls import DONE, GLANCE, LASTING, SLOW, Calls, Due


class Watcher:
    """Looks at hands at regular times.

    Parameters
    ----------
    hands
        how many there are

    """

    def __init__(self, hands: int = 1) -> None:
        self.calls = Calls(hands)
        self.hands: list[tuple[object | None, int]] = [(None, 0)] * hands
        self.now = 100.0
        self.glance()

    def glance(self, seconds: float = GLANCE) -> list[Due]:
        """Let time pass, and look."""
        self.now += seconds
        self.calls.glance(self.now)
        return [self.calls.look(n, found, place, self.now) for n, (found, place) in enumerate(self.hands)]

    def are_all_slow(self) -> bool:
        """Tell whether all hands are in slow calls."""
        return self.calls.are_all_slow([found for found, _ in self.hands])

    def until(self, due: Due) -> float:
        """Look until something is due for the first hand; tell how long that took."""
        begun = self.now
        while self.glance()[0] is not due:
            assert self.now < begun + 1
        return round(self.now - begun - GLANCE, 6)  # the first look sees it


def test_a_call_that_takes_long_is_relieved_once() -> None:
    watcher = Watcher()
    watcher.hands = [("round", 3)]
    assert watcher.until(Due.RELIEVE) == SLOW
    assert watcher.are_all_slow()
    assert not any(Due.RELIEVE in watcher.glance() for _ in range(50))
    watcher.hands = [("round", 4)]
    assert watcher.until(Due.RELIEVE) == SLOW


def test_nothing_is_due_for_a_hand_that_has_nothing() -> None:
    watcher = Watcher()
    assert [watcher.glance() for _ in range(50)] == [[Due.NOTHING]] * 50
    assert watcher.calls[0] is None
    assert not watcher.are_all_slow()


def test_short_rounds_are_left_alone() -> None:
    watcher = Watcher()
    for number in range(100):
        watcher.hands = [(f"round {number // 2}", number)]
        assert watcher.glance() == [Due.NOTHING]


def test_in_a_long_round_what_is_done_is_sent_and_then_it_ends() -> None:
    watcher = Watcher()
    found = []
    for number in range(12):
        watcher.hands = [("round", number)]
        found.append(watcher.glance()[0])
    sent = [place for place, due in enumerate(found) if due is Due.SEND]
    assert [round(place * GLANCE, 6) for place in sent] == [DONE, 2 * DONE]
    assert found.index(Due.END) == round(LASTING / GLANCE)


def test_a_slow_call_at_the_end_of_a_long_round_is_relieved() -> None:
    watcher = Watcher()
    for number in range(20):
        watcher.hands = [("round", number)]
        watcher.glance()
    assert watcher.until(Due.RELIEVE) == SLOW - GLANCE  # it was seen in this call already


def test_a_process_that_stood_still_has_no_slow_calls() -> None:
    watcher = Watcher(2)
    watcher.hands = [("round", 1), ("another", 1)]
    watcher.glance()
    assert watcher.glance(0.5) == [Due.NOTHING, Due.NOTHING]
    watcher.hands = [("round", 1), ("another", 2)]
    assert watcher.glance() == [Due.RELIEVE, Due.NOTHING]


def test_all_are_slow_when_the_last_one_is() -> None:
    watcher = Watcher(2)
    watcher.hands = [("round", 1), ("another", 1)]
    watcher.glance()
    watcher.hands = [("round", 1), ("another", 2)]
    while watcher.glance()[0] is not Due.RELIEVE:
        pass
    assert not watcher.are_all_slow()
    while watcher.glance()[1] is not Due.RELIEVE:
        pass
    assert watcher.are_all_slow()
    for gone_on in (None, "yet another"):
        watcher.hands = [("round", 1), (gone_on, 0)]
        assert not watcher.are_all_slow(), "it is not even looked at again"
    watcher.glance()
    assert not watcher.are_all_slow()


def test_a_time_limit_counts_from_the_first_look_at_a_call() -> None:
    watcher = Watcher()
    watcher.hands = [("round", 1)]
    watcher.glance()
    since = watcher.now
    watcher.glance(5.0)
    call = watcher.calls[0]
    assert call is not None
    assert (call.since, call.over) == (since, False)
