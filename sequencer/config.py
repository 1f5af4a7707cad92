"""The sequencer's configuration. Durations are seconds on the wall; where the chain's clock runs faster they are stretched with it."""

from typing import Annotated

import msgspec

from node.config import Config, Port, Positive, Seconds, Section
from node.steps import HONEST_STEPS


class Server(Section, frozen=True):
    """The WebSocket API."""

    host: str = "127.0.0.1"
    port: Port = 8650
    connections: Positive = 256
    message_bytes: Annotated[int, msgspec.Meta(ge=1_024, le=16 << 20)] = 1 << 20
    outstanding: Positive = 32
    queue: Positive = 1_024
    posts_noops: bool = False  # whether rows that change nothing are posted on request: whoever asks spends the sequencer's gas


class Batches(Section, frozen=True):
    """When frames and batches close."""

    interval_s: Seconds = 5.0
    frame_s: Seconds = 1.0
    calldata_bytes: Annotated[int, msgspec.Meta(ge=1_000, le=126_000)] = 120_000
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4


class Claims(Section, frozen=True):
    """Claiming the states that follow. `steps` is where the tracer's table of steps is: `module:attribute`."""

    is_on: bool = True
    steps: str = HONEST_STEPS
    finalizes: bool = True


class SequencerConfig(Config, frozen=True):
    """All of the file."""

    server: Server = Server()
    batches: Batches = Batches()
    claims: Claims = Claims()
    verify_workers: Annotated[int, msgspec.Meta(ge=0, le=64)] = 1
    tick_s: Seconds = 0.25
    snapshot_records: Positive = 20_000
