"""The roles that are measured, each run in a process of its own: see :mod:`zmqpipeline.bench.seat`."""
