"""Writes the access logs of a week, the same ones each time: python make_logs.py"""

import gzip
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

MONDAY = datetime(2026, 3, 2, tzinfo=timezone.utc)
#: path, how much of the traffic goes there, and how long it takes in seconds
PAGES = [
    ("/", 0.4, 0.02),
    ("/search", 0.3, 0.2),
    ("/item", 0.2, 0.05),
    ("/cart", 0.08, 0.1),
    ("/export", 0.02, 1.4),
]


def requests_in(hour: int) -> int:
    """Say how many requests an hour has: few at night, most at noon."""
    return 20 + 12 * min(hour, 24 - hour)


def choose(draw: float) -> tuple[str, float]:
    """Choose a page by its share: the path, and how long it takes."""
    for path, share, usual in PAGES:
        if draw < share:
            return path, usual
        draw -= share
    return "/", 0.02


def lines(day: datetime, chance: random.Random) -> Iterator[str]:
    """Make the lines of a day."""
    for hour in range(24):
        broken = day.weekday() == 2 and hour == 14  # on Wednesday at two, something went wrong
        for number in range(requests_in(hour)):
            path, usual = choose(chance.random())
            seconds = usual * (0.5 + 2 * chance.random() ** 4) * (4 if broken else 1)
            luck = chance.random()
            status = 503 if luck < (0.4 if broken else 0.004) else 404 if luck > 0.97 else 200
            moment = day + timedelta(hours=hour, seconds=3600 * number // requests_in(hour))
            yield (
                f"10.0.{int(250 * chance.random())}.7 - - [{moment:%d/%b/%Y:%H:%M:%S %z}] "
                f'"GET {path} HTTP/1.1" {status} {int(9000 * chance.random())} {seconds:.3f}'
            )


def make(folder: Path) -> None:
    """Write a file for each day."""
    folder.mkdir(exist_ok=True)
    chance = random.Random(7)
    for day in (MONDAY + timedelta(days=number) for number in range(7)):
        text = "".join(f"{line}\n" for line in lines(day, chance))
        folder.joinpath(f"access-{day:%Y-%m-%d}.log.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    make(Path("logs"))
