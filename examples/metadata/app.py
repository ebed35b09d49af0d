"""Metadata: what every role should know before the first task."""

import zmqpipeline

zmqpipeline.TaskType.register_type("GREET")
GREET = zmqpipeline.TaskType("GREET")

NAMES = zmqpipeline.EndpointAddress("ipc://names.ipc")
GREETINGS = zmqpipeline.EndpointAddress("ipc://greetings.ipc")
GREETINGS_ACK = zmqpipeline.EndpointAddress("ipc://greetings-ack.ipc")
METADATA = zmqpipeline.EndpointAddress("ipc://metadata.ipc")


class Guests(zmqpipeline.MetaDataWorker):
    """Would ask a database, or whoever else knows."""

    endpoint = METADATA

    def get_metadata(self) -> dict:
        return {"names": ["Ada", "Grace", "Katherine"], "greeting": "Hello", "mark": "!"}


class Names(zmqpipeline.Task):
    task_type = GREET
    endpoint = NAMES
    dependencies = []

    count = 0

    def handle(self, data: dict, address: bytes, msgtype: str) -> dict:
        # a task gets the metadata as data, and has it as self.metadata as well
        name = data["names"][self.count]
        self.count += 1
        self.is_complete = self.count == len(data["names"])
        return {"name": name}


class Greeter(zmqpipeline.SingleThreadedWorker):
    task_type = GREET
    endpoint = NAMES
    collector_endpoint = GREETINGS

    def init_worker(self) -> None:
        # once, before the first task; the metadata is already there
        self.greeting = self.metadata["greeting"]

    def handle_execution(self, data: dict, *args: object, **kwargs: object) -> dict:
        return {"text": f"{self.greeting}, {data['name']}"}


class Host(zmqpipeline.Collector):
    endpoint = GREETINGS
    ack_endpoint = GREETINGS_ACK

    def handle_collection(self, data: dict, task_type: str, msgtype: str) -> None:
        print(data["text"] + self.metadata["mark"])
