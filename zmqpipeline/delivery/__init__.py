"""The guarantees, as plain state machines: no sockets, no clock, no threads.

Whoever drives them passes events and the time in, and gets back what to do.
The same objects run in production, in unit tests and against a simulated
network.
"""
