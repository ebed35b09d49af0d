"""The ``zmqpipeline`` command.

The commands that run one role import neither click nor rich, because workers
start often and on machines that have only the core; everything else does.
"""
