"""The workers of one task type, as the distributor knows them: how they come, begin, are probed, and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zmqpipeline.delivery.admission import Admission, Bucket
from zmqpipeline.delivery.peer import Peer, introduced
from zmqpipeline.delivery.ports import Outcome
from zmqpipeline.wire import messages
from zmqpipeline.wire.envelope import PROTOCOL_VERSION, Message

if TYPE_CHECKING:
    from zmqpipeline.delivery.ports import Link, Options, Source


#: the most tasks that a worker may ask for
MAX_CREDIT = 100_000

#: a worker whose heartbeat lost its connection, and that says nothing itself, is gone after so many ticks
MUTE_TICKS = 3
#: what a heartbeat may say for its worker
_SPOKEN_FOR = {
    messages.MESSAGE_TYPE_HEARTBEAT,
    messages.MESSAGE_TYPE_FAILURE,
    messages.MESSAGE_TYPE_RETURN,
    messages.MESSAGE_TYPE_GOODBYE,
}


class Roster:
    """Greets workers, starts them when their tasks may begin, and ends them with the run.

    Parameters
    ----------
    name
        the task type
    link
        where messages go
    run
        the id of this run
    options
        times and limits
    source
        the program's task: told of each new worker

    """

    def __init__(self, name: str, link: Link, run: str, options: Options, source: Source) -> None:
        self.name = name
        self.peers: dict[bytes, Peer] = {}
        self._processes: dict[Any, bytes] = {}  #: the last address of each process
        self.met = False  #: whether a worker was ever there
        self.ending = False
        self.strays = 0  #: messages that made no sense
        self.late = 0  #: messages of this run, from workers that have gone, or knew an earlier life of ours
        #: whose connection was found to be gone; to be taken by whoever keeps the books
        self.gone: list[bytes] = []
        #: until when nobody is lost because he cannot be reached; 0 if not at all
        self._lenient_until = 0.0
        #: who has come and was not let in yet, with its greeting
        self.admission: Admission[Message] = Admission(options.max_peers, options.max_hellos)
        self._greetings = Bucket(options.max_hellos)  #: for those that are known
        self._metadata: dict[str, Any] | None = None
        self.link = link
        self._run = run
        self._options = options
        self._max_result = options.max_message  #: what the collector takes, as far as is known
        self._source = source

    def sender(self, address: bytes, message: Message, now: float) -> Peer | None:
        """Find out who sent a message; None if it is of no worker of this run, and is to be dropped."""
        voice = b""
        if message.worker is not None and message.type in _SPOKEN_FOR:
            voice, address = address, message.worker.encode("utf-8", "surrogatepass")
            if address not in self.peers:
                self._count(message)
                return None
        peer = self.peers.get(address)
        if message.run != self._run and not _needs_no_run(message, voice):
            self.strays += 1
            if (peer is None and message.type != messages.MESSAGE_TYPE_GOODBYE) or (peer and peer.lockstep):
                self.reset(address)  # one in lock step waits for some answer
            return None
        if peer is None:
            peer = self._meet(address, message, now)
        elif message.type == messages.MESSAGE_TYPE_HELLO and not self._greetings.take(now):
            peer.welcomed = False  # it is greeted again by the tick: the answer may be large
            self.strays += 1
            return None
        if peer is not None:
            peer.heard, peer.suspect, peer.mute = now, False, 0
            peer.voice = voice or peer.voice
        return peer

    def voice_gone(self, address: bytes) -> bool:
        """Note that a connection is gone; tell whether it was that of a heartbeat.

        libzmq cannot ping a worker behind data that it does not take, so whether one is stopped, or its host
        dead, shows at the connection of its heartbeat, where nothing waits.
        """
        self.admission.forget(address)
        for peer in self.peers.values():
            if peer.voice == address:
                peer.mute = 1
                return True
        return False

    def hello(self, peer: Peer, info: Any) -> None:
        """Welcome a worker; START follows when its tasks may begin."""
        peer.info = introduced(info) or peer.info
        peer.started = False
        peer.welcomed = self.send(peer.address, self._welcome()) is Outcome.SENT
        if peer.welcomed:
            self._continue(peer)

    def limit_results(self, largest: int) -> None:
        """Take in how large a frame the collector takes, and tell those who were told something else."""
        self._max_result = largest
        for peer in list(self.peers.values()):
            if peer.welcomed:
                self.hello(peer, peer.info)

    def credit(self, peer: Peer, message: Message) -> None:
        """Note how much room a worker has; what it said before that may come later, by another connection."""
        if message.credit is None or (message.order is not None and message.order <= peer.order):
            return
        peer.order = message.order or peer.order
        peer.credit = min(message.credit, MAX_CREDIT)

    def empty(self, peer: Peer) -> None:
        """Answer a lock-step worker's first request with START, when its tasks may begin."""
        peer.asks = peer.wants_start = True
        self._continue(peer)

    def open(self, metadata: dict[str, Any]) -> None:
        """Start those who are there, and from now on whoever comes."""
        self._metadata = metadata
        for peer in list(self.peers.values()):
            self._start(peer)

    def refuse(self, peer: Peer) -> None:
        """Have nothing to do with a worker any more; it may begin again."""
        self.strays += 1
        self.peers.pop(peer.address, None)
        self.reset(peer.address)

    def end(self) -> None:
        """Tell everybody that the run is over; call it until nobody is left."""
        self.ending = True
        for peer in list(self.peers.values()):
            self.end_peer(peer)
        for address, greeting in self.admission.everybody():  # there is room enough to tell them this
            if greeting.type == messages.MESSAGE_TYPE_HELLO:
                self.send(address, self._welcome())
            self.send(address, Message(messages.MESSAGE_TYPE_END, self.name, run=self._run))

    def end_peer(self, peer: Peer) -> None:
        """Tell one worker that the run is over, if it may be told something."""
        if peer.ended or (peer.lockstep and not peer.asks):
            return
        outcome = self.send(peer.address, Message(messages.MESSAGE_TYPE_END, self.name, run=self._run))
        peer.ended = outcome is Outcome.SENT
        if outcome is Outcome.GONE:
            self.unreachable(peer)
        elif peer.ended and peer.lockstep:
            self.gone.append(peer.address)

    def tick(self, now: float) -> None:
        """Greet and start whom there was no room to tell, and ping who was silent."""
        if now >= self._lenient_until:
            self._lenient_until = 0.0
        for peer in list(self.peers.values()):
            if not peer.welcomed and not peer.lockstep:
                self.hello(peer, peer.info)
            elif not peer.started and not peer.lockstep:
                self._continue(peer)
            if peer.mute:
                peer.mute += 1
                if peer.mute > MUTE_TICKS:
                    self.unreachable(peer)
            silent = now - max(peer.heard, peer.pinged) >= self._options.ping_interval
            if silent and not peer.lockstep:
                peer.pinged = now
                self._ping(peer)

    def silenced(self, now: float) -> list[Peer]:
        """List the workers that have been silent for too long since the last call: they are suspect now.

        Only one that has asked for tasks gives signs of life by itself, and no lock-step worker does.
        """
        found = [
            peer
            for peer in self.peers.values()
            if (peer.order or peer.credit) and not peer.suspect and now - peer.heard > self._options.patience
        ]
        for peer in found:
            peer.suspect = True
        return found

    def stalled(self, seconds: float, now: float) -> None:
        """Leave out a time in which nobody could be heard.

        If it was so long that workers have given up the connection, they get as long to come back: those
        that are inside a task cannot at once, but their heartbeat says that they live.
        """
        for peer in self.peers.values():
            peer.heard += seconds
        # measured too short by the rest of the wait that it fell into, and a ping may have been due before
        if seconds >= self._options.patience - 2 * self._options.ping_interval:
            self._lenient_until = now + self._options.patience

    def unreachable(self, peer: Peer) -> None:
        """Note that there is no connection to a worker: it is lost, or just not back."""
        if self._lenient_until:
            peer.suspect = True
        else:
            self.gone.append(peer.address)

    def former(self, peer: Peer) -> bytes | None:
        """Find the address that the process of a worker had before it connected again."""
        other = self._of_process(peer)
        if len(self._processes) > 2 * len(self.peers) + 100:  # those that have gone are still in it
            known = {other.info.get("process"): other.address for other in self.peers.values()}
            self._processes = known
        self._processes[peer.info.get("process")] = peer.address
        return None if other is None or other is peer else other.address

    def is_back(self, lost: Peer) -> bool:
        """Tell whether the process of a worker whose connection has ended has another one."""
        return self._of_process(lost) not in {None, lost}

    def _of_process(self, peer: Peer) -> Peer | None:
        process = peer.info.get("process")
        other = self.peers.get(self._processes.get(process, b""))
        is_same = other is not None and process is not None and other.info.get("process") == process
        return other if is_same else None

    def probe(self) -> None:
        """Ask the sockets who is there, whoever was heard when; a lock-step worker cannot be asked."""
        for peer in list(self.peers.values()):
            if not peer.lockstep:
                self._ping(peer)

    @property
    def working(self) -> int:
        """How many workers there are that tasks can be given to."""
        return sum(1 for peer in self.peers.values() if self.works(peer))

    @staticmethod
    def works(peer: Peer) -> bool:
        """Tell whether a worker can be given tasks."""
        able = peer.lockstep or (peer.credit > 0 and not peer.suspect)
        return peer.started and not peer.ended and able

    def rotate(self) -> None:
        """Let another worker be first the next time."""
        if len(self.peers) > 1:
            first = next(iter(self.peers))
            self.peers[first] = self.peers.pop(first)

    def send(self, address: bytes, message: Message) -> Outcome:
        """Send to one worker."""
        return self.link.to_worker(self.name, address, message)

    def reset(self, address: bytes) -> None:
        """Tell a worker that it is not known (any more): it begins again."""
        self.send(address, Message(messages.MESSAGE_TYPE_RESET, self.name, run=self._run))

    def _welcome(self) -> Message:
        limits = {
            "protocol": PROTOCOL_VERSION,
            "max_message": self._max_result,
            "heartbeat": self._options.ping_interval,
        }
        return Message(messages.MESSAGE_TYPE_WELCOME, self.name, limits, run=self._run)

    def _meet(self, address: bytes, message: Message, now: float) -> Peer | None:
        """Make a stranger's acquaintance, if it introduces itself and there is room for it."""
        if message.task not in {"", self.name}:
            self.strays += 1  # it is at the wrong address
            return None
        peer = Peer(address)
        if message.type == messages.MESSAGE_TYPE_EMPTY:
            peer.lockstep = True
        elif message.type == messages.MESSAGE_TYPE_READY and message.credit is None:
            peer.lockstep = peer.started = True
        elif message.type != messages.MESSAGE_TYPE_HELLO:
            self._count(message)
            if message.type == messages.MESSAGE_TYPE_GOODBYE:
                self.admission.forget(address)
            else:
                self.reset(address)
            return None
        if not self._admits(peer, message, now):
            return None
        self.peers[address] = peer
        peer.came = now
        self.met = True
        self._source.joined(address)
        return peer

    def _admits(self, peer: Peer, message: Message, now: float) -> bool:
        """Tell whether somebody new is let in now; if not, its greeting is taken in later."""
        is_news = peer.address not in self.admission
        info = introduced(message.data)
        greeting = Message(message.type, message.task, info, message.run)
        if self.admission.comes(peer.address, greeting, len(self.peers), now):
            return True
        self.strays += is_news
        if peer.lockstep and peer.address not in self.admission:
            self.reset(peer.address)  # it waits for some answer
        return False

    def _count(self, unknown: Message) -> None:
        """Count a message of a worker that is not there: whoever leaves may be overtaken by its heartbeat."""
        if unknown.run == self._run:
            self.late += 1
        else:
            self.strays += 1

    def _continue(self, peer: Peer) -> None:
        if self.ending:
            self.end_peer(peer)
        elif self._metadata is not None:
            self._start(peer)

    def _start(self, peer: Peer) -> None:
        if peer.started or (peer.lockstep and not peer.wants_start):
            return
        start = Message(messages.MESSAGE_TYPE_META_DATA, self.name, self._metadata, run=self._run)
        start.limit = None if self._source.time_limit is None else int(self._source.time_limit * 1000)
        if self.send(peer.address, start) is Outcome.SENT:
            peer.started = True
            peer.asks = peer.wants_start = False

    def _ping(self, peer: Peer) -> None:
        ping = Message(messages.MESSAGE_TYPE_HEARTBEAT, self.name, run=self._run)
        if self.send(peer.address, ping) is Outcome.GONE:
            self.unreachable(peer)


def _needs_no_run(message: Message, voice: bytes) -> bool:
    """Tell whether a message counts though it is not of this run: who greets does not know it yet."""
    kind = message.type
    if kind == messages.MESSAGE_TYPE_HELLO:
        return True
    if message.run is not None or voice:
        return False
    if kind == messages.MESSAGE_TYPE_READY:
        return message.credit is None  # in lock step: it echoes the run in its results
    return kind in {messages.MESSAGE_TYPE_EMPTY, messages.MESSAGE_TYPE_GOODBYE}
