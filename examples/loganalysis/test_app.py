"""Tests of app.py, in one process and in simulated time."""

from pathlib import Path

import app
import make_logs
import pytest

from zmqpipeline.testing import Pipeline, faults


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_logs.make(app.LOGS)
    return tmp_path


def run(capsys, *breaking):
    Path("counts.sqlite").unlink(missing_ok=True)
    result = Pipeline.of(app, n_workers=2).run(*breaking)
    assert result.finished
    return capsys.readouterr().out


def test_whatever_dies_the_report_is_the_same(capsys):
    report = run(capsys)
    for fault in (
        faults.kill_worker(at=("COUNT", 3)),
        faults.restart_collector(at=("COUNT", 5)),
        faults.restart_distributor(at=("COUNT", 7)),
    ):
        assert run(capsys, fault) == report


def test_a_damaged_day_is_told(capsys, folder):
    (folder / "logs" / "access-2026-03-03.log.gz").write_bytes(b"damaged")
    assert run(capsys).endswith("without logs/access-2026-03-03.log.gz (BadGzipFile)\n")


def test_a_line_is_in_one_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "PIECE", 10)
    path = tmp_path / "x.log"
    path.write_text("one\ntwenty-two\n\nthree\n" * 5)
    found = [line for start in range(0, path.stat().st_size, 10) for line in app.lines_of(str(path), start)]
    assert "".join(found) == path.read_text()
