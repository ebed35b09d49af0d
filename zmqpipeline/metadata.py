"""MetaDataWorker: what tasks, workers and the collector should know before the first task."""

from __future__ import annotations

import abc
import logging
import time
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

import zmq

from zmqpipeline.declarations import Method
from zmqpipeline.errors import SerializationError
from zmqpipeline.role import DeclaredRole
from zmqpipeline.stopping import RUNNING
from zmqpipeline.task import ENDPOINT
from zmqpipeline.typed import Generic, Out
from zmqpipeline.wire import envelope, messages, sockets

if TYPE_CHECKING:
    from zmqpipeline.descriptors import EndpointAddress
    from zmqpipeline.role import Socket

#: a request that found no answer is sent again after so long, in seconds
RETRY = 2.0


class MetaDataWorker(DeclaredRole, abc.ABC, Generic[Out]):
    """Gives the distributor its metadata, once, and is done.

    Attributes
    ----------
    endpoint
        the distributor's ``metadata_endpoint``, an :class:`~zmqpipeline.EndpointAddress`

    """

    _declares = (ENDPOINT,)
    _calls = (Method("get_metadata"),)

    endpoint: EndpointAddress

    logger: ClassVar[logging.Logger] = logging.getLogger("zmqpipeline.metadataworker")
    _finishes: ClassVar[str] = "get_metadata()"

    @abc.abstractmethod
    def get_metadata(self) -> Out:
        """Make the metadata; called once."""

    def _open(self) -> None:
        self._payload: bytes | None = None
        self._client: Socket | None = None

    def _serve(self) -> None:
        self.send_metadata()

    def send_metadata(self) -> None:
        """Send the metadata, and wait until the distributor has it.

        Raises
        ------
        TypeError
            if get_metadata() returns what is not a dictionary, or cannot be packed

        """
        if self._level != RUNNING:
            return
        with self._user_code:
            metadata = self.get_metadata()
            figures = self._vitals.look()
            info = {**self._info(), "memory": figures["memory"], "cpu": figures["cpu"]}
            payload = self._pack(metadata, info)
        while self._level == RUNNING:
            if self._ask(payload):
                return

    def _pack(self, metadata: Any, info: dict[str, Any] | None = None) -> bytes:
        name = type(self).__qualname__
        if not isinstance(metadata, dict):
            raise TypeError(f"{name}.get_metadata returned {type(metadata).__name__}, expected a dictionary")
        try:
            payload = messages.introduce_metadata(metadata, info or {})
        except SerializationError as error:
            raise SerializationError(f"{name}.get_metadata: {error}") from error
        limit = self.max_message_size - envelope.ENVELOPE_BYTES
        if len(payload) > limit:
            raise SerializationError(
                f"{name}.get_metadata returned {len(payload)} bytes packed, more than the other roles take "
                f"({limit} bytes): return a reference instead, or raise max_message_size in all roles"
            )
        return payload

    def _ask(self, payload: bytes) -> bool:
        """Make one request, on a socket of its own: a REQ socket whose answer was lost is of no more use."""
        client = self._connected(zmq.REQ, self.endpoint, identity=f"metadata-{uuid.uuid4().hex}".encode())
        try:
            poller = self._poller(client)
            client.send(payload, zmq.NOBLOCK)
            deadline = time.monotonic() + RETRY
            while self._level == RUNNING and time.monotonic() < deadline:
                if client in self._poll(poller, deadline):
                    data, _, kind = messages.get(next(sockets.receive(client, 1))[-1])
                    if kind == messages.MESSAGE_TYPE_SUCCESS:
                        return True
                    self.logger.error(
                        "%s: the distributor refused the metadata: %.500s", self._subject(), data
                    )
                    poller.unregister(client)  # it is asked again, but not at once
                    continue
                self._announce(lambda: [f"the distributor at {self.endpoint}"])
            return False
        finally:
            self._drop(client)
