"""Which users the scan of a mark must look at: its steps visit every user with a RISKY bit, and change hardly any.

A user who is short, with cash and without a flag, is changed only where equity is below maintenance: one vectorized margin of all of them
tells. All other users with the bit are visited by the steps themselves.
"""

from protocol.margin_fast import RiskTable, ScanBook
from protocol.state import State, get_word_index
from protocol.types import WORD_ACCOUNTS, Account, Bitmap, is_risky

COMPACT_MARKS = 63  # every 64th mark the book forgets series that nobody holds
MAX_BOOK_CASH = 1 << 61  # with what the positions are worth, inside int64


class ScanView:
    """A state as the steps see it, that remembers whose account or RISKY bit changed since the last scan."""

    def __init__(self, state: State) -> None:
        self.params = state.params
        self.get_globals, self.put_globals = state.get_globals, state.put_globals
        self.get_markets, self.put_markets = state.get_markets, state.put_markets
        self.get_account, self._put_account = state.get_account, state.put_account
        self.get_order, self.put_order = state.get_order, state.put_order
        self.get_page, self.put_page = state.get_page, state.put_page
        self.get_slot_nonce = state.get_slot_nonce
        self.get_word, self._put_word = state.get_word, state.put_word
        self.append_outbox = state.append_outbox
        self.changed: set[int] = set(state.accounts)

    def put_account(self, index: int, value: Account) -> None:
        self.changed.add(index)
        self._put_account(index, value)

    def put_word(self, index: int, value: int) -> None:
        if index < get_word_index(Bitmap.HOLDER, 0, self.params):
            turned = self.get_word(index) ^ value
            while turned:
                self.changed.add(index << 8 | turned.bit_length() - 1)
                turned ^= 1 << turned.bit_length() - 1
        self._put_word(index, value)


class Watch:
    """The users with a RISKY bit, brought up to date from a view at each mark."""

    def __init__(self, view: ScanView) -> None:
        self._view = view
        self._book = ScanBook()
        self._booked: set[int] = set()
        self._special: set[int] = set()  # with the bit, and not in the book

    def get_users(self) -> list[int]:
        """Ascending: all users that a scan changes, some that it does not, and always the last one, whose step ends the users' part."""
        self._refresh()
        margins = self._book.compute_margins(RiskTable(self._book.series, self._view.get_markets()))
        weak = margins.accounts[margins.equity < margins.maintenance]
        return sorted({*self._special, *weak.tolist(), self._view.get_globals().accounts - 1})

    def count_steps(self) -> int:
        """Of the users' part: one for each set bit, and one for the rest of a word that does not end with one."""
        opened = self._view.get_globals().accounts
        steps = 0
        for base in range(0, opened, WORD_ACCOUNTS):
            size = min(opened - base, WORD_ACCOUNTS)
            word = self._view.get_word(get_word_index(Bitmap.RISKY, base, self._view.params)) & (1 << size) - 1
            steps += word.bit_count() + (word.bit_length() < size)
        return steps

    def _refresh(self) -> None:
        for index in self._view.changed:
            self._update(index, self._view.get_account(index))
        self._view.changed.clear()
        if self._view.get_globals().marks & COMPACT_MARKS == 0:
            self._book.compact()

    def _update(self, index: int, a: Account) -> None:
        word = self._view.get_word(get_word_index(Bitmap.RISKY, index, self._view.params))
        is_visited = index < self._view.params.max_accounts and word >> (index & 255) & 1
        is_plain = not a.flag and 0 <= a.cash < MAX_BOOK_CASH and is_risky(0, a.positions)
        if is_visited and is_plain:
            self._book.set_account(index, a.cash, a.positions)
            self._booked.add(index)
        elif index in self._booked:
            self._book.remove_account(index)
            self._booked.discard(index)
        if is_visited and not is_plain:
            self._special.add(index)
        else:
            self._special.discard(index)
