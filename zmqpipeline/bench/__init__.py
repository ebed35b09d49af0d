"""Measures this library beside bare ZeroMQ sockets, on this machine: ``zmqpipeline bench``.

Its parts can be had one by one, to measure something else beside them:
:mod:`~zmqpipeline.bench.throughput`, :mod:`~zmqpipeline.bench.latency` and
:mod:`~zmqpipeline.bench.sleep` have ``measure_ours()``, and the first two
``measure_bare()``, which do one run and return
:class:`~zmqpipeline.bench.sample.Reading`; a
:class:`~zmqpipeline.bench.case.Case` lets contenders take turns; a
:class:`~zmqpipeline.bench.result.Result` keeps what came out, and
:mod:`~zmqpipeline.bench.table`, :mod:`~zmqpipeline.bench.rst` and
:mod:`~zmqpipeline.bench.plot` show it, however many contenders it has.
"""
