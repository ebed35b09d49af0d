"""Pipelines of real processes under real faults: ``python -m zmqpipeline.testing.chaos``."""
