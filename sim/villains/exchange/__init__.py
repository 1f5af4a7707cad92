"""Lies about the exchange's rules, each with the epoch in which it matters."""

from collections.abc import Mapping
from types import MappingProxyType

from sim.villains.exchange.accounts import ACCOUNT_LIES
from sim.villains.exchange.orders import ORDER_LIES
from sim.villains.exchange.settlement import SETTLEMENT_LIES
from sim.villains.exchange.sources import SOURCE_LIES
from sim.villains.exchange.waterfall import WATERFALL_LIES
from sim.villains.lies import Lie

EXCHANGE_LIES: Mapping[str, Lie] = MappingProxyType({**ORDER_LIES, **ACCOUNT_LIES, **SETTLEMENT_LIES, **WATERFALL_LIES, **SOURCE_LIES})
