"""Villains of the dispute: each the honest machine plus one lie, or one way of playing."""

from collections.abc import Mapping
from types import MappingProxyType

from sim.villains.dispute.endpoints import ENDPOINTS
from sim.villains.dispute.entries import ENTRIES
from sim.villains.dispute.histories import HISTORIES
from sim.villains.dispute.making import Villain
from sim.villains.dispute.money import MONEY
from sim.villains.dispute.moves import MOVES
from sim.villains.dispute.sequencers import SEQUENCERS
from sim.villains.dispute.tournaments import TOURNAMENTS

_ALL = (*HISTORIES, *ENTRIES, *MOVES, *MONEY, *TOURNAMENTS, *SEQUENCERS, *ENDPOINTS)
DISPUTE_VILLAINS: Mapping[str, Villain] = MappingProxyType({villain.name: villain for villain in _ALL})
