"""Which task kills workers: found by handing suspects out in ever smaller parts, never guessed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zmqpipeline.delivery.ports import NO_JOURNAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from zmqpipeline.delivery.batch import Batch
    from zmqpipeline.delivery.ledger import Ledger
    from zmqpipeline.delivery.peer import Peer
    from zmqpipeline.delivery.ports import Journal
    from zmqpipeline.delivery.roster import Roster

#: so many workers are remembered that a returning process may be one of
_REMEMBERED = 1000


class Suspicion:
    """After a worker's death, suspects the tasks that it had and had not finished.

    Several suspects are handed out in parts of half their number, each to a
    worker that has nothing else. A death with a single suspect counts against
    that task.

    Parameters
    ----------
    ledger
        the book of the task type
    name
        the task type
    max_deaths
        how many workers a task may kill
    how_it_ended
        tells what is known of the end of a process, by its host and pid; ``""`` if nothing is
    journal
        told of what counts against a task

    """

    def __init__(
        self,
        ledger: Ledger,
        name: str,
        max_deaths: int,
        how_it_ended: Callable[[Any, Any], str],
        journal: Journal = NO_JOURNAL,
    ) -> None:
        self._ledger = ledger
        self._name = name
        self._max_deaths = max_deaths
        self._how_it_ended = how_it_ended
        self._journal = journal
        self._accused: dict[str, int] = {}  #: by process, the task whose only suspect it was
        self._condemned: list[int] = []

    def accuse(self, parts: list[Batch], peer: Peer) -> None:
        """Suspect what was taken back from a dead worker, which had not finished it."""
        if self.narrow(parts):
            (batch,) = parts
            batch.suspects = 1
            batch.deaths += 1
            self._journal.tried(self._name, batch.first, batch.failures, batch.deaths)
            batch.killed = (*batch.killed, (peer.info.get("host", "?"), peer.info.get("pid", "?")))
            process = str(peer.info.get("process", ""))
            if process:
                self._accused[process] = batch.first
            while len(self._accused) > _REMEMBERED:
                del self._accused[next(iter(self._accused))]
            if batch.deaths >= self._max_deaths:
                # judged a moment later: the supervisor may know more by then, or the process may be back
                batch.not_before = math.inf
                self._condemned.append(batch.first)

    @staticmethod
    def narrow(parts: list[Batch]) -> bool:
        """Have suspects that were taken back handed out in halves; tell whether there is only one."""
        count = sum(part.count for part in parts)
        if count > 1:
            for part in parts:
                part.suspects = math.ceil(count / 2)
        return count == 1

    def absolve(self, peer: Peer) -> None:
        """Take an accusation back: the process lives, only its connection was lost."""
        task_id = self._accused.pop(str(peer.info.get("process", "")), None)
        batch = None if task_id is None else self._ledger.find(task_id)
        if batch is not None and batch.deaths:
            batch.deaths -= 1
            self._journal.tried(self._name, batch.first, batch.failures, batch.deaths)
            batch.killed = batch.killed[:-1]
            batch.not_before = min(batch.not_before, 0.0)

    def emptied(self, roster: Roster, now: float) -> Peer | None:
        """Choose who gets nothing until it is empty, because suspects wait for somebody who is."""
        if not self._ledger.suspects_wait(now):
            return None
        holds = self._ledger.holds
        able = [peer for peer in roster.peers.values() if roster.works(peer) and not peer.quarantined]
        least = min(able, key=lambda peer: holds(peer.address), default=None)
        return least if least is not None and holds(least.address) else None

    def judge(self) -> list[Batch]:
        """List the tasks that have killed too many workers, with the error in each."""
        judged = []
        for task_id in self._condemned:
            batch = self._ledger.find(task_id)
            if batch is not None and batch.deaths >= self._max_deaths:
                self._ledger.blame(batch, self._error(batch))
                judged.append(batch)
        self._condemned.clear()
        return judged

    def _error(self, batch: Batch) -> dict[str, Any]:
        ends = []
        for host, pid in batch.killed:
            how = self._how_it_ended(host, pid) or "its connection was lost"
            ends.append(f"process {pid} on {host}: {how}")
        text = (
            f"task {batch.first} of {self._name} was the only one in the hands of {batch.deaths} workers "
            f"that died ({'; '.join(ends)}): do this task by itself, with the same data, to see why"
        )
        return {"type": "WorkerDeaths", "text": text, "traceback": "", "retry": False}
