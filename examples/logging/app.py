"""Logging: where the library's log lines go, and how a program adds its own."""

import zmqpipeline

# every role is a process that loads this file, so this configures them all
zmqpipeline.configureLogging(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"short": {"format": "%(levelname)s %(name)s: %(message)s"}},
        "handlers": {
            "terminal": {"class": "logging.StreamHandler", "formatter": "short"},
            "file": {"class": "logging.FileHandler", "formatter": "short", "filename": "pipeline.log"},
        },
        "loggers": {
            # the loggers of all roles pass their lines on to this one
            "zmqpipeline": {"level": "INFO", "handlers": ["terminal"]},
            # the collector's lines go to a file as well, and there are more of them
            "zmqpipeline.collector": {"level": "DEBUG", "handlers": ["file"]},
        },
    }
)

zmqpipeline.TaskType.register_type("DIVIDE")
DIVIDE = zmqpipeline.TaskType("DIVIDE")

DIVISIONS = zmqpipeline.EndpointAddress("ipc://divisions.ipc")
RESULTS = zmqpipeline.EndpointAddress("ipc://results.ipc")
RESULTS_ACK = zmqpipeline.EndpointAddress("ipc://results-ack.ipc")


class Divisions(zmqpipeline.Task):
    task_type = DIVIDE
    endpoint = DIVISIONS
    dependencies = []

    divisor = 4

    def handle(self, data: dict, address: bytes, msgtype: str) -> dict:
        self.divisor -= 1
        self.is_complete = self.divisor == 1
        self.logger.info("to be divided by %d", self.divisor)
        return {"divisor": self.divisor}


class Divider(zmqpipeline.SingleThreadedWorker):
    task_type = DIVIDE
    endpoint = DIVISIONS
    collector_endpoint = RESULTS

    def init_worker(self) -> None:
        self.logger.info("ready to divide")

    def handle_execution(self, data: dict, *args: object, **kwargs: object) -> dict:
        return {"quotient": 12 // data["divisor"]}


class Quotients(zmqpipeline.Collector):
    endpoint = RESULTS
    ack_endpoint = RESULTS_ACK

    def handle_collection(self, data: dict, task_type: str, msgtype: str) -> None:
        self.logger.debug("collected %d, id %s", data["quotient"], self.result_id)

    def handle_finished(self, data: object, task_type: str) -> None:
        self.logger.info("nothing more to collect")
