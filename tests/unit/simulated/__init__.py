"""A whole pipeline without sockets, clocks and threads, whose network can be broken in every place.

The decisions are those of ``zmqpipeline.delivery``; what is written here is what
the roles do around them: poll, decode, ask, encode, send. Every link is a queue of
packed frames. Nothing moves by itself: a test says who takes a step, how many
messages are read in it, how much time passes, and what breaks.

====================  ====================================================================
link                  when it is cut
====================  ====================================================================
worker - distributor  both see it, or one of them at first; the worker joins again as a new
                      incarnation
heartbeat ->          nobody sees it; what was under way is lost, and what follows is not
distributor
worker -> collector   nobody sees it; what was under way is lost
hub -> collector      nobody sees it; what was under way is lost, what waits is kept, even
                      for the next life of the collector
collector -> hub      the collector sees it, the hub does not if it comes back at once; what
                      was under way is lost
====================  ====================================================================

Frames may come twice: at once, with all that was under way behind them, or as old
ones much later. But a link never delivers one new frame before another: TCP does not,
ZeroMQ does not within one connection, and the protocol relies on it (a last HEARTBEAT
before BYE, RDY after WELCOME, ACKs). What overtakes is what has another connection: the
results of a worker what it tells the distributor; what its heartbeat says and sends, what
its main thread does; the links of a distributor that is dead, those of the next one.

A partition is a set of processes that cannot reach the others for a while. What they
send waits, as it does in the buffers of TCP; it is lost if one end gives the connection
up, which it may do while the other end still believes in it.
"""
