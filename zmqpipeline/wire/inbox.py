"""Inbox: reads the messages that somebody waits for, each frame in the way that is quickest for its size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import zmq

from zmqpipeline.wire.sockets import COPIED, seen

if TYPE_CHECKING:
    from zmqpipeline.wire.sockets import Frame

#: plain numbers: to make them of zmq's takes as long as to read a frame
_AT_ONCE, _MORE = int(zmq.NOBLOCK), int(zmq.RCVMORE)
#: an envelope whose data is in a frame of its own ends with nil
_NIL = 0xC0


class Inbox:
    """The messages of a socket without routing ids, none of which has more than two frames that count.

    Libzmq is not asked of each frame whether another is behind it: with pyzmq that takes longer than to
    read one. So what is behind a whole message counts as the next one, though both came in one piece; it is
    nothing that could not have come by itself.

    Parameters
    ----------
    socket
        where they come from
    delimited
        whether an empty frame is in front of each, as a REQ socket sends and expects it

    """

    def __init__(self, socket: zmq.Socket[bytes], *, delimited: bool = False) -> None:
        self.socket = socket
        self._delimited = delimited
        self._was_large = False  #: the frame before: it is likely that the next one is, too

    def take(self) -> list[Frame] | None:
        """Read a message that has arrived, without waiting.

        Returns
        -------
        list of bytes or memoryview, or None
            its envelope, and a large dictionary that is a frame of its own, if there is one; an empty list
            for what is no message, None if nothing is there

        """
        try:
            frame = self._read()
            if self._delimited:
                if len(frame):
                    self._rest()
                    return []
                while not len(frame):  # an envelope is never empty here: what is, is the next delimiter
                    frame = self._read()
        except zmq.Again:
            return None
        if len(frame) and frame[-1] == _NIL:
            return [frame, *self._rest()]
        return [frame]

    def _read(self) -> Frame:
        frame: Frame
        if self._was_large:
            frame = seen(self.socket.recv(_AT_ONCE, copy=False))
        else:
            frame = self.socket.recv(_AT_ONCE)
        self._was_large = len(frame) >= COPIED
        return frame

    def _rest(self) -> list[Frame]:
        """Read what is behind the last frame that was read, in its message."""
        found: list[Frame] = []
        while self.socket.get(_MORE):
            found.append(seen(self.socket.recv(_AT_ONCE, copy=False)))
        return found
