"""Every step twice: in Python and on L1, from one witness, compared exactly.

`assert_twins` is the one way to test a step. `python -m sim.twins` runs every kind of step on random and hostile inputs.
"""

from sim.twins.runner import Outcome, Twins, TwinsDiffer, assert_twins

__all__ = ["Outcome", "Twins", "TwinsDiffer", "assert_twins"]
