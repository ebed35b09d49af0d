"""What came of tasks, on its way: results to the collector, failures to the distributor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zmqpipeline.delivery.assignment import Work
from zmqpipeline.delivery.credit import ROUND_BYTES
from zmqpipeline.delivery.intervals import Intervals
from zmqpipeline.failure import describe, size_of_error
from zmqpipeline.wire import envelope

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

    from zmqpipeline.delivery.assignment import Assignment
    from zmqpipeline.execution import Execution
    from zmqpipeline.wire.envelope import Message
    from zmqpipeline.wire.sockets import Outbox


class Reporter:
    """Sends for one thread: its outboxes belong to it.

    Parameters
    ----------
    results
        to the collector
    distributor
        to the distributor
    logger
        where failures are logged
    subject
        what the worker calls itself there
    worker
        whom the messages are about, if they do not go through the worker's own connection

    """

    def __init__(
        self, results: Outbox, distributor: Outbox, logger: logging.Logger, subject: str, worker: bytes = b""
    ) -> None:
        self.results = results
        self.distributor = distributor
        self._logger = logger
        self._subject = subject
        self._worker = worker.decode() or None

    def tell(self, message: Message) -> None:
        """Tell the distributor something."""
        message.worker = self._worker
        self.distributor.put([b"", envelope.encode(message)])

    def report(self, assignment: Assignment, execution: Execution, max_message: int) -> int:
        """Send what an execution has done and nobody has sent yet; tell how many bytes that were.

        Parameters
        ----------
        assignment
            makes the messages
        execution
            whose results and errors are taken
        max_message
            the largest frame that the collector takes, in bytes

        """
        limit, work = max_message - envelope.ENVELOPE_BYTES, execution.work
        first, taken = execution.take()
        if not execution.errors:
            body, count, ids = b"".join(taken), len(taken), work.ids
            if not count or len(body) >= envelope.OWN_FRAME or len(body) > limit:
                return self._send(assignment, work, first, taken, limit)
            if first or len(ids) > 1 or ids[0][1] != count:
                ids = envelope.part(ids, first, count)
            self.results.put([envelope.results(assignment.task, work.run, ids, work.attempt, body, count)])
            return len(body)
        done, size = execution.with_errors(first, taken), 0
        for place, error in done.errors.items():
            size += size_of_error(error)
            self.fail(assignment, work, place, error)
        for place, results in done.runs():
            size += self._send(assignment, work, place, results, limit)
        return size

    def deliver(self, assignment: Assignment, done: Iterable[tuple[Work, bytes]], max_message: int) -> int:
        """Send the results of tasks that were each a work of its own; tell how many bytes that were.

        Parameters
        ----------
        assignment
            makes the messages
        done
            the tasks and their packed results, in any order
        max_message
            the largest frame that the collector takes, in bytes

        """
        kinds: dict[tuple[str, int], dict[int, bytes]] = {}
        for work, packed in done:
            kinds.setdefault((work.run, work.attempt), {})[work.ids[0][0]] = packed
        size, limit = 0, max_message - envelope.ENVELOPE_BYTES
        for (run, attempt), found in kinds.items():
            ids = Intervals((task_id, 1) for task_id in found).ranges()
            results = [found[task_id] for task_id in sorted(found)]
            size += self._send(assignment, Work([], ids, attempt, run), 0, results, limit)
        return size

    def fail(self, assignment: Assignment, work: Work, place: int, error: dict[str, Any]) -> None:
        """Report that the task at a place of some work failed."""
        ((task_id, _),) = envelope.part(work.ids, place, 1)
        self._logger.warning(
            "%s: task %d of %s failed (attempt %d): %s: %s",
            self._subject, task_id, assignment.task, work.attempt, error["type"], error["text"],
        )  # fmt: skip
        self.tell(assignment.failure(work, task_id, error))

    def _send(self, assignment: Assignment, work: Work, place: int, results: list[bytes], limit: int) -> int:
        """Send results in messages that are not too large; one that is too large by itself has failed.

        ``place`` is that of the first one in the work. Tells how many bytes they have.
        """
        most = min(limit, ROUND_BYTES)
        start = size = 0
        for index, packed in enumerate(results):
            if len(packed) > limit:
                self._send_part(assignment, work, place + start, results[start:index])
                start, size = index + 1, 0
                self.fail(assignment, work, place + index, _too_large(len(packed), limit))
            elif size and (size + len(packed) > most or max(size, len(packed)) >= envelope.OWN_FRAME):
                self._send_part(assignment, work, place + start, results[start:index])
                start, size = index, len(packed)
            else:
                size += len(packed)
        self._send_part(assignment, work, place + start, results[start:])
        return sum(map(len, results))

    def _send_part(self, assignment: Assignment, work: Work, place: int, results: list[bytes]) -> None:
        if results:
            ids, packed = envelope.part(work.ids, place, len(results)), b"".join(results)
            self.results.put(envelope.frames(assignment.results(work, ids, packed, len(results))))


def _too_large(size: int, limit: int) -> dict[str, Any]:
    text = (
        f"the result has {size} bytes packed, the collector takes {limit}: return a reference to it instead"
    )
    return describe(ValueError(text), retry=False)
