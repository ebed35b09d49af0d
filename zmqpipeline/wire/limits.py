"""How much a role takes from whoever connects to it, where nothing else is said."""

from __future__ import annotations

#: the largest frame that a socket takes, in bytes
MAX_MESSAGE_SIZE = 64 * 1024 * 1024
#: no role may take less, in bytes: errors and lists of ids always fit
SMALLEST_MAX_MESSAGE = 1024 * 1024
#: workers send no data to a distributor, so its sockets for them take frames of no more bytes: 100 000 ranges
#: of ids fit, and errors
MAX_CONTROL = 2 * 1024 * 1024
#: who watches sends nothing but a question, so the monitor's socket takes no more; to open more takes time
MAX_QUESTION = 16 * 1024
#: a frame of more bytes is not opened before it is known to be of the present run: opened, it may take a
#: hundred times its size (docs/protocol.rst, Limits)
UNOPENED = 1024 * 1024
#: an envelope has no more keys, known or not: to look at each takes longer than to unpack it
MAX_KEYS = 100
#: how many workers of one task type, or of one service, are known at a time
MAX_PEERS = 10_000
#: connections of one bound socket; a worker makes up to two to each
MAX_CONNECTIONS = 2 * MAX_PEERS + 500
#: how many new ones are met in a second
MAX_HELLOS = 5000
