"""The steps, by the phase in which each runs. A step's twin has the same stem in `contracts/steps/`."""

from types import MappingProxyType, ModuleType

from protocol.machine import StepFunction
from protocol.steps import (
    authorize,
    award,
    bid,
    cancel,
    combo,
    commit,
    deleverage,
    deposit,
    fetch,
    inflate,
    mark,
    message,
    order,
    pool,
    scan,
    settle,
    sheet,
    shutdown,
    takeover,
    target,
    terms,
    withdraw,
)
from protocol.steps import margin as margin_step
from protocol.steps import open as open_step
from protocol.types import Phase

MODULES: MappingProxyType[Phase, ModuleType] = MappingProxyType(
    {
        Phase.OPEN: open_step,
        Phase.MESSAGE: message,
        Phase.INFLATE: inflate,
        Phase.FETCH: fetch,
        Phase.DEPOSIT: deposit,
        Phase.ORDER: order,
        Phase.TERMS: terms,
        Phase.MAKER: margin_step,
        Phase.TAKER: margin_step,
        Phase.COMMIT: commit,
        Phase.CANCEL: cancel,
        Phase.WITHDRAW: withdraw,
        Phase.MARK: mark,
        Phase.SCAN: scan,
        Phase.COMBO: combo,
        Phase.SHEET: sheet,
        Phase.AUTHORIZE: authorize,
        Phase.BID: bid,
        Phase.BIDDER: margin_step,
        Phase.TARGET: target,
        Phase.AWARD: award,
        Phase.SETTLE: settle,
        Phase.POOL: pool,
        Phase.SHUTDOWN: shutdown,
        Phase.TAKEOVER: takeover,
        Phase.DELEVERAGE: deleverage,
    }
)
STEPS: MappingProxyType[Phase, StepFunction] = MappingProxyType({phase: module.step for phase, module in MODULES.items()})
