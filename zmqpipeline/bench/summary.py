"""Sums up the samples of each contender, and compares them with those of its reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zmqpipeline.bench.spread import Spread, ratios

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zmqpipeline.bench.sample import Figure, Sample


@dataclass(frozen=True)
class Summary:
    """What came out for one contender in one figure.

    Parameters
    ----------
    workload, variant, figure, contender
        what was measured
    measured
        its values
    reference
        with whom it is compared, if it is
    beside
        the values of that one
    ratio
        the value divided by the reference's, turn by turn

    """

    workload: str
    variant: str
    figure: Figure
    contender: str
    measured: Spread
    reference: str | None = None
    beside: Spread | None = None
    ratio: Spread | None = None


def summarize(samples: Iterable[Sample]) -> list[Summary]:
    """Sum up samples, in the order in which their contenders first come."""
    groups: dict[tuple[str, str, Figure, str], dict[int, float]] = {}
    references: dict[tuple[str, str, Figure, str], str | None] = {}
    for sample in samples:
        reading = sample.reading
        key = sample.workload, sample.variant, reading.figure, reading.contender
        groups.setdefault(key, {})[sample.turn] = reading.value
        references[key] = reading.reference
    found = []
    for key, values in groups.items():
        reference = references[key]
        others = {} if reference is None else groups.get((*key[:3], reference), {})
        pairs = ratios(values, others)
        found.append(
            Summary(
                *key,
                Spread.of(values.values()),
                reference,
                Spread.of(others.values()) if others else None,
                Spread.of(pairs) if pairs else None,
            )
        )
    return found
