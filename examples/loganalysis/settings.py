"""The same, with what counts as slow in one place."""

import gzip

import week
from careful import CarefulDays, CarefulReport

import zmqpipeline


class Settings(zmqpipeline.MetaDataWorker):
    endpoint = zmqpipeline.EndpointAddress("ipc://settings.ipc")

    def get_metadata(self):
        return {"slow": 2.0}


class ToldCounter(week.DayCounter):
    def handle_execution(self, data, *args, **kwargs):
        with gzip.open(data["path"], "rt", encoding="utf-8") as lines:
            return week.counting.count(lines, self.metadata["slow"])
