"""Measures this library beside bare ZeroMQ sockets, on this machine: ``zmqpipeline bench``."""
