"""Roles for the tests of the benchmarks' processes; loaded from this file, as any other."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zmqpipeline.bench.seat import Post


def answer(post: Post, text: str) -> None:
    post.tell("here", cwd=str(Path.cwd()), text=text, session=os.getsid(0) == os.getpid())
    post.meet()
    post.tell("modules", names=sorted(sys.modules))
    post.wait()


def chatter(post: Post) -> None:
    sys.stdout.write("not for you\n")
    post.tell("long", text="x" * 300_000)


def fail(post: Post) -> None:
    raise ValueError(json.dumps("all is lost"))


def vanish(post: Post) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave(post: Post) -> None:
    os._exit(0)


def stay(post: Post) -> None:
    post.tell("here")
    while True:
        time.sleep(60)
