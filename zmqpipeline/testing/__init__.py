"""Test a pipeline without processes: in one thread, in simulated time, and with faults at chosen tasks."""

from zmqpipeline.testing import faults
from zmqpipeline.testing.faults import Fault
from zmqpipeline.testing.pipeline import Pipeline
from zmqpipeline.testing.result import Event, Failure, Result

__all__ = ["Event", "Failure", "Fault", "Pipeline", "Result", "faults"]
