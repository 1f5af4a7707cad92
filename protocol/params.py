"""Parameters of a deployment. What differs between networks is here; what never differs is a constant beside its rule."""

from dataclasses import dataclass, replace

from protocol.fixed_point import div_down

YEAR_S = 31_536_000


@dataclass(frozen=True)
class Fees:
    """Of the taker in one market: parts per million of the forward, at most so many of the premium, at least so much a fill (1e-6 USD)."""

    forward_ppm: int
    premium_ppm: int
    minimum: int


@dataclass(frozen=True)
class Params:
    """Durations in seconds of chain time, money in 1e-6 USD, stake in wei. Depths are levels of Merkle trees."""

    name: str
    account_depth: int  # accounts = 2**account_depth, at least 8: a bitmap word covers 256 accounts
    slot_depth: int  # order slots of an account = 2**slot_depth
    outbox_depth: int
    batch_depth: int  # batches in an epoch = 2**batch_depth
    history_height: int  # leaves of a history commitment = 2**history_height, a multiple of 4
    steps_per_second: int  # accrual of the step allowance
    steps_cap: int
    epoch_s: int
    inclusion_delay_s: int
    header_window_s: int  # how far back of L1's time a batch's first L2 time may lie
    mark_gap_s: int
    mark_resync_s: int
    mark_max_age_s: int
    oracle_count: int
    quorum: int
    group_bits: int  # claims of a group of the tournament = 2**group_bits
    entry_s: int  # P: a position's entry window
    censorship_s: int  # C: the clock of each side of a duel
    grace_s: int  # G: free response time of each move
    stake_wei: int
    fees: tuple[Fees, Fees]  # by underlying
    pool_slots: int  # accounts that the backstop pool can hold: the last places of the account tree
    pool_delay_s: int  # how long a request to enter or leave the pool waits
    sheet_life_s: int  # how long a sheet of quotes may be valid for
    halt_move_ppm: int  # an index price that moves so far within the window halts its market
    halt_window_s: int
    halt_s: int  # for so long
    settle_first_s: int  # after expiry: without the oracles' average, the first mark after expiry settles
    settle_last_s: int  # and without that, the last one before
    silence_s: int  # without a batch from the sequencer, until anyone may shut the exchange down
    shutdown_s: int  # from then to the settlement of everything

    @property
    def rounds(self) -> int:
        """Reveals of four levels that lead from the root of a history commitment to one step."""
        return self.history_height >> 2

    @property
    def tournament_round_s(self) -> int:
        """D = 2C + (K + 2)G: an honest claim always clears its group within it (K rounds of reveals)."""
        return 2 * self.censorship_s + (self.rounds + 2) * self.grace_s

    @property
    def order_slots(self) -> int:
        """Slots of one account; an order's slot is its nonce modulo this."""
        return 1 << self.slot_depth

    @property
    def max_accounts(self) -> int:
        """Indices from here on are the backstop pool's."""
        return (1 << self.account_depth) - self.pool_slots

    def get_slot(self, nonce: int) -> int:
        """The slot of an account's order."""
        return nonce & (1 << self.slot_depth) - 1

    def at_speed(self, speed: int) -> "Params":
        """For a chain whose clock runs `speed` times faster than the wall: L1-side durations keep their length on the wall, and so does a
        sheet of quotes, which lives as long as a message may be under way; and what may be run in a second of the wall stays the same.

        Market time (mark gap and age) is not touched: it belongs to the replayed market.
        """
        return replace(
            self,
            steps_per_second=max(1, div_down(self.steps_per_second, speed)),
            epoch_s=self.epoch_s * speed,
            inclusion_delay_s=self.inclusion_delay_s * speed,
            header_window_s=self.header_window_s * speed,
            entry_s=self.entry_s * speed,
            censorship_s=self.censorship_s * speed,
            grace_s=self.grace_s * speed,
            sheet_life_s=self.sheet_life_s * speed,
            silence_s=self.silence_s * speed,
        )


MAINNET = Params(
    name="mainnet",
    account_depth=24,
    slot_depth=8,
    outbox_depth=30,  # entries are for ever: 2**24 could be used up for 400 ETH of forced withdrawals, and nobody would get out
    batch_depth=12,
    history_height=28,
    steps_per_second=3_500,  # with every account in a scan five times, an epoch fits its history
    steps_cap=10_000_000,
    epoch_s=12 * 3600,
    inclusion_delay_s=3600,
    header_window_s=600,
    mark_gap_s=5,
    mark_resync_s=600,
    mark_max_age_s=60,
    oracle_count=5,
    quorum=3,
    group_bits=5,
    entry_s=7 * 86_400,
    censorship_s=7 * 43_200,
    grace_s=3600,
    stake_wei=10 * 10**18,
    fees=(Fees(300, 125_000, 50_000), Fees(300, 125_000, 50_000)),
    pool_slots=4096,
    pool_delay_s=86_400,
    sheet_life_s=30,
    halt_move_ppm=100_000,
    halt_window_s=300,
    halt_s=300,
    settle_first_s=86_400,
    settle_last_s=7 * 86_400,
    silence_s=7 * 86_400,
    shutdown_s=86_400,
)

DEVNET = replace(
    MAINNET,
    name="devnet",
    epoch_s=10,
    inclusion_delay_s=10,
    oracle_count=3,
    quorum=2,
    entry_s=30,
    censorship_s=120,
    grace_s=20,
    stake_wei=10**18,
    pool_delay_s=60,
    silence_s=120,
    shutdown_s=60,
)

MINIMAL = replace(
    DEVNET,
    name="minimal",
    account_depth=9,
    slot_depth=2,
    outbox_depth=4,
    batch_depth=3,
    history_height=16,
    group_bits=2,
    steps_per_second=50,
    steps_cap=2_000,
    pool_slots=4,
    halt_s=10,
    settle_first_s=120,
    settle_last_s=240,
)

PRESETS = {params.name: params for params in (MAINNET, DEVNET, MINIMAL)}
