"""A table of steps for a daemon that lies."""

from sim.villains.lies import LIES

STEPS = LIES["invented-deposit"].steps
