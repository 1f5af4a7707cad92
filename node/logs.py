"""Structured logs on stderr: JSON for machines, a console form for people. Fields that could hold a secret are never written."""

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from node.config import Logs

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
SECRET_WORDS = ("secret", "password", "mnemonic", "private", "token")
HIDDEN = "(hidden)"
LogFunction = Callable[[str, dict[str, Any]], None]  # what l1's parts are given


def hide_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last line of defence: whoever logs should not pass such a field at all."""
    for name in event:
        if any(word in name.lower() for word in SECRET_WORDS):
            event[name] = HIDDEN
    return event


def encode_bytes(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hashes and addresses as hex."""
    for name, value in event.items():
        if isinstance(value, bytes):
            event[name] = "0x" + value.hex()
    return event


def configure_logs(settings: Logs, daemon: str) -> structlog.stdlib.BoundLogger:
    """Once per process. Nothing but the ready line goes to stdout."""
    form: Any = structlog.processors.JSONRenderer() if settings.format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            hide_secrets,
            encode_bytes,
            form,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logger: structlog.stdlib.BoundLogger = structlog.get_logger().bind(daemon=daemon)
    return logger


def make_log(logger: structlog.stdlib.BoundLogger) -> LogFunction:
    """For parts that know no logging library."""

    def log(event: str, fields: dict[str, Any]) -> None:
        logger.info(event, **fields)

    return log
