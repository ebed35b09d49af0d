"""What came out of a comparison: the measurements, and who could not be measured."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from zmqpipeline.bench import rst
from zmqpipeline.bench.result import Result

if TYPE_CHECKING:
    from contenders import Failures, Found


@dataclass
class Findings:
    """Everything that is to be told.

    Parameters
    ----------
    peers
        those that were measured
    skipped
        those that were not, and why: a sentence for each name
    failures
        what went wrong on the way
    result
        what was measured

    """

    peers: list[Found]
    skipped: dict[str, str]
    failures: Failures
    result: Result = field(default_factory=Result)

    def notes(self) -> list[str]:
        """Say in a sentence each what the table does not: versions, what tuned means, and who is missing."""
        found = []
        for peer in self.peers:
            tuned = f"; tuned: {peer.tuning}" if peer.tuning else ""
            found.append(f"{peer.name} {peer.version}{tuned}")
        found += [f"{name}: not measured, {reason}" for name, reason in self.skipped.items()]
        for (workload, name), sentence in self.failures.sentences.items():
            found.append(f"{name}: failed in {workload}, {sentence}")
        return found

    def rst(self) -> str:
        """Write the table and the notes as reStructuredText."""
        notes = "\n".join(f"* {rst.escaped(note)}" for note in self.notes())
        return f"{rst.write(self.result)}\n{notes}\n"

    def to_json(self) -> str:
        """Write everything as JSON; the command reads it as a result of its own."""
        failures = [
            {"workload": workload, "contender": name, "sentence": sentence}
            for (workload, name), sentence in self.failures.sentences.items()
        ]
        more = {
            "peers": [asdict(peer) for peer in self.peers], "skipped": self.skipped, "failures": failures,
        }  # fmt: skip
        return json.dumps(json.loads(self.result.to_json()) | more, indent=1, ensure_ascii=False) + "\n"
