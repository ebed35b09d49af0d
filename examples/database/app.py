"""Database: each result is a row, written once, whatever is killed meanwhile."""

import sqlite3

import zmqpipeline

zmqpipeline.TaskType.register_type("FACTOR")
FACTOR = zmqpipeline.TaskType("FACTOR")

NUMBERS = zmqpipeline.EndpointAddress("ipc://numbers.ipc")
FACTORS = zmqpipeline.EndpointAddress("ipc://factors.ipc")
FACTORS_ACK = zmqpipeline.EndpointAddress("ipc://factors-ack.ipc")

DATABASE = "factors.sqlite"
LAST = 2000

CREATE = "CREATE TABLE IF NOT EXISTS factors (result_id TEXT PRIMARY KEY, number INTEGER, factors TEXT)"
INSERT = "INSERT INTO factors VALUES (?, ?, ?) ON CONFLICT (result_id) DO NOTHING"
COUNT = "SELECT count(*), count(*) FILTER (WHERE factors NOT LIKE '% %') FROM factors"


class Numbers(zmqpipeline.Task):
    task_type = FACTOR
    endpoint = NUMBERS
    dependencies = []

    number = 1

    def handle(self, data: dict, address: bytes, msgtype: str) -> dict:
        self.number += 1
        self.is_complete = self.number == LAST
        return {"number": self.number}


class Factors(zmqpipeline.SingleThreadedWorker):
    task_type = FACTOR
    endpoint = NUMBERS
    collector_endpoint = FACTORS

    def handle_execution(self, data: dict, *args: object, **kwargs: object) -> dict:
        rest, divisor, found = data["number"], 2, []
        while rest > 1:
            if rest % divisor:
                divisor += 1
            else:
                rest //= divisor
                found.append(divisor)
        return {"number": data["number"], "factors": found}


class Table(zmqpipeline.Collector):
    endpoint = FACTORS
    ack_endpoint = FACTORS_ACK

    def __init__(self) -> None:
        # without a level of isolation, each statement is committed before execute() returns
        self.database = sqlite3.connect(DATABASE, isolation_level=None)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("PRAGMA synchronous = FULL")
        self.database.execute(CREATE)

    def handle_collection(self, data: dict, task_type: str, msgtype: str) -> None:
        # the result is acknowledged when this returns, so by then it has to be in the file
        factors = " ".join(map(str, data["factors"]))
        self.database.execute(INSERT, (self.result_id, data["number"], factors))

    def handle_finished(self, data: object, task_type: str) -> None:
        numbers, primes = self.database.execute(COUNT).fetchone()
        self.database.close()
        print(f"{numbers} numbers in {DATABASE}, {primes} of them are prime")
