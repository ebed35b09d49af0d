"""What people would pick instead: one small adapter for each.

An adapter is a module of this package that has a `Peer` (see ``peer.py``)
by the name ``PEER``: its name, where its version is found, what its own
documentation recommends for small tasks, what it needs besides its package,
and a context manager that starts it and hands out a `System`: something
that does many tasks, or one. The measurements are the same code for all of
them, in ``peer.py``.

An adapter imports its package at its top. Nothing imports an adapter but
``measure.py``, which is a process of its own for each measurement, so that a
package that is missing, broken or hangs is one line of the report.
"""

#: the modules of the adapters, by the names that the report uses
PEERS = {
    "multiprocessing.Pool": "peers.pool",
    "ProcessPoolExecutor": "peers.executor",
    "joblib": "peers.joblib",
    "Pypeln": "peers.pypeln",
    "dask.distributed": "peers.dask",
    "Celery": "peers.celery",
    "Dramatiq": "peers.dramatiq",
    "Ray": "peers.ray",
}
