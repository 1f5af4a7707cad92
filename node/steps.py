"""Which table of steps a tracer runs: the rules' own, or, for whoever tests others, one that lies."""

import importlib
from collections.abc import Mapping

from node.errors import NodeCode, NodeError
from protocol.machine import StepFunction
from protocol.types import Phase

HONEST_STEPS = "protocol.steps:STEPS"


def load_steps(name: str) -> Mapping[Phase, StepFunction]:
    """`module:attribute`. A table that is not there, or lacks a phase, is a NodeError: a tracer would die of it again and again."""
    module, _, attribute = name.partition(":")
    try:
        steps: Mapping[Phase, StepFunction] = getattr(importlib.import_module(module), attribute)
        complete = all(callable(steps[phase]) for phase in Phase)
    except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise NodeError(NodeCode.CONFIG_FIELD, f"steps: no table of steps at {name!r}") from error
    if not complete:
        raise NodeError(NodeCode.CONFIG_FIELD, f"steps: {name!r} is no table of steps")
    return steps
