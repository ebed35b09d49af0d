"""Two tasks, one of which has to be complete before the other begins."""

import zmqpipeline

zmqpipeline.TaskType.register_type("MIX")
zmqpipeline.TaskType.register_type("BAKE")
MIX = zmqpipeline.TaskType("MIX")
BAKE = zmqpipeline.TaskType("BAKE")

# each task has an address of its own, and workers of its own
MIXING = zmqpipeline.EndpointAddress("ipc://mixing.ipc")
BAKING = zmqpipeline.EndpointAddress("ipc://baking.ipc")
SHOP = zmqpipeline.EndpointAddress("ipc://shop.ipc")
SHOP_ACK = zmqpipeline.EndpointAddress("ipc://shop-ack.ipc")

LOAVES = 20


class Mixing(zmqpipeline.Task):
    task_type = MIX
    endpoint = MIXING
    dependencies = []

    count = 0

    def handle(self, data: dict, address: bytes, msgtype: str) -> dict:
        self.count += 1
        self.is_complete = self.count == LOAVES
        return {"loaf": self.count}


class Baking(zmqpipeline.Task):
    task_type = BAKE
    endpoint = BAKING
    # begins when the results of all these are collected
    dependencies = [MIX]

    count = 0

    def handle(self, data: dict, address: bytes, msgtype: str) -> dict:
        self.count += 1
        self.is_complete = self.count == LOAVES
        return {"loaf": self.count}


class Mixer(zmqpipeline.SingleThreadedWorker):
    task_type = MIX
    endpoint = MIXING
    collector_endpoint = SHOP

    def handle_execution(self, data: dict, *args: object, **kwargs: object) -> dict:
        return data


class Oven(zmqpipeline.SingleThreadedWorker):
    task_type = BAKE
    endpoint = BAKING
    collector_endpoint = SHOP

    def handle_execution(self, data: dict, *args: object, **kwargs: object) -> dict:
        return data


class Shop(zmqpipeline.Collector):
    endpoint = SHOP
    ack_endpoint = SHOP_ACK

    def __init__(self) -> None:
        self.loaves: dict[str, set[int]] = {MIX: set(), BAKE: set()}

    def handle_collection(self, data: dict, task_type: str, msgtype: str) -> None:
        if task_type == BAKE and not self.loaves[BAKE]:
            print(f"{len(self.loaves[MIX])} loaves are mixed when the first comes out of the oven")
        self.loaves[task_type].add(data["loaf"])

    def handle_finished(self, data: object, task_type: str) -> None:
        print(f"{len(self.loaves[BAKE])} loaves are baked at the end")
