"""All samples of a run of the command, and how they are kept as JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from zmqpipeline.bench.failure import BenchError
from zmqpipeline.bench.machine import describe
from zmqpipeline.bench.sample import Figure, Reading, Sample
from zmqpipeline.bench.summary import Summary, summarize

if TYPE_CHECKING:
    from pathlib import Path

#: counts up when a file of before cannot be read any more
FORMAT = 1


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass
class Result:
    """Everything that was measured.

    Parameters
    ----------
    machine
        what it was measured on
    date
        when, in ISO 8601
    samples
        every single one, in the order in which they were taken

    """

    machine: dict[str, str | int] = field(default_factory=describe)
    date: str = field(default_factory=_now)
    samples: list[Sample] = field(default_factory=list)

    @property
    def summaries(self) -> list[Summary]:
        """The samples, summed up."""
        return summarize(self.samples)

    def to_json(self) -> str:
        """Write everything as JSON, the summaries included."""
        found = {
            "format": FORMAT,
            "date": self.date,
            "machine": self.machine,
            "summaries": [dataclasses.asdict(summary) for summary in self.summaries],
            "samples": [_flat(sample) for sample in self.samples],
        }
        return json.dumps(found, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Result:
        """Read what :meth:`to_json` has written; the summaries are made anew.

        Raises
        ------
        BenchError
            if it is something else

        """
        try:
            found = json.loads(text)
            if found["format"] != FORMAT:
                raise BenchError(f"it has format {found['format']!r}, and this version reads format {FORMAT}")
            samples = [_sample(item) for item in found["samples"]]
            return cls(dict(found["machine"]), str(found["date"]), samples)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise BenchError(
                f"it is no result of this command ({type(error).__name__}: {error}); "
                f"give a file that --json has written"
            ) from error

    def save(self, path: Path) -> None:
        """Write it to a file.

        Raises
        ------
        BenchError
            if it cannot be written

        """
        try:
            path.write_text(self.to_json(), encoding="utf-8")
        except OSError as error:
            raise BenchError(f"{path} cannot be written: {error.strerror}") from error

    @classmethod
    def load(cls, path: Path) -> Result:
        """Read it from a file.

        Raises
        ------
        BenchError
            if it cannot be read, or is something else

        """
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BenchError(f"{path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise BenchError(f"{path} cannot be used: it is no text") from error
        except BenchError as error:
            raise BenchError(f"{path} cannot be used: {error}") from error


def _flat(sample: Sample) -> dict[str, Any]:
    reading = sample.reading
    flat: dict[str, Any] = {
        "workload": sample.workload,
        "variant": sample.variant,
        "turn": sample.turn,
        "contender": reading.contender,
        "reference": reading.reference,
        "figure": dataclasses.asdict(reading.figure),
        "value": reading.value,
    }
    if reading.series:
        flat["series"] = [list(pair) for pair in reading.series]
    return flat


def _sample(flat: dict[str, Any]) -> Sample:
    reading = Reading(
        flat["contender"],
        Figure(**flat["figure"]),
        float(flat["value"]),
        flat["reference"],
        tuple((float(at), float(value)) for at, value in flat.get("series", ())),
    )
    return Sample(flat["workload"], flat["variant"], int(flat["turn"]), reading)
