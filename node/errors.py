"""The operator's errors: a configuration, a file or a store that cannot be used, with a code that never changes."""

from enum import StrEnum


class NodeCode(StrEnum):
    """Stable: scripts and the command line match on these."""

    CONFIG_UNREADABLE = "config-unreadable"
    CONFIG_SYNTAX = "config-syntax"
    CONFIG_FIELD = "config-field"
    STORE_UNREADABLE = "store-unreadable"
    STORE_VERSION = "store-version"
    STORE_CORRUPT = "store-corrupt"
    STORE_LOCKED = "store-locked"
    STORE_FULL = "store-full"
    KEY = "key"
    DEPLOYMENT = "deployment"
    CHAIN = "chain"
    LISTEN = "listen"
    INSTRUMENT = "instrument"
    RESTART = "restart"


class NodeError(Exception):
    """Whoever runs the daemon must act. The message names the field or the file, never a secret."""

    def __init__(self, code: NodeCode, message: str) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code
        self.message = message
