"""DELEVERAGE. Twin: contracts/steps/deleverage.vy."""

from protocol.codes import Code
from protocol.machine import Preimages
from protocol.rules import Rules
from protocol.state import View
from protocol.types import Header

ARGUMENTS = ()
TOUCHES = ()


def get_inputs(h: Header, pre: Preimages, rules: Rules) -> tuple[object, ...]:
    return ()


def step(h: Header, view: View, pre: Preimages, rules: Rules) -> tuple[Header, Code]:
    raise NotImplementedError
