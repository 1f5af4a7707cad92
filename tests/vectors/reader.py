"""The vectors as a third implementation would read them: by docs/protocol/vectors.md and machine.md's page of the state alone.

Nothing of the project is imported. What is checked: the root before and after, from the structs; every preimage of the header; each
struct of the arguments under its siblings, in the tree that the writes before it leave; the root after, by those siblings.
"""

import json
import re
from pathlib import Path
from typing import Any

from sha3 import keccak_256

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "protocol" / "vectors.md").read_text()
ZERO = bytes(32)
BIAS = 1 << 31
CHUNK = 32 * 65
SLICE_WORDS, SLICES, LEGS, QUOTES = 8, 16, 4, 16
PLACES = ("markets", "words", "accounts", "outbox")
QUOTE_BITS = (48, 1, 37, 21, 37, 21, 21, 21)
Json = Any
Tree = dict[int, bytes]

STRUCTS = {name: fields.split(", ") for name, fields in re.findall(r"^\| ([A-Z]\w+) \| ([a-z_, ]+) \|$", PAGE, re.MULTILINE)}
CONTRACTS = re.findall(r"^\| `(\w+)` \| ([A-Z0-9, ]+) \| ([a-z, ]*)\| ([a-z, ]*)\|$", PAGE, re.MULTILINE)
WIDTHS = {"globals": 2, "markets": 2, "account": 2, "holder": 3, "order": 3, "entry": 3, "word": 2, "outbox": 1}  # arguments of a touch


def split(names: str) -> list[str]:
    return [name for name in names.strip().split(", ") if name]


INPUTS = {int(phase.split()[1]): split(inputs) for _, phases, inputs, _ in CONTRACTS for phase in phases.split(", ")}
TOUCHES = {int(phase.split()[1]): split(touches) for _, phases, _, touches in CONTRACTS for phase in phases.split(", ")}


def load(name: str) -> Json:
    return json.loads((ROOT / "tests" / "vectors" / f"{name}.json").read_text())


# -- hashing


def keccak(data: bytes) -> bytes:
    digest: bytes = keccak_256(data).digest()
    return digest


def to_bytes(value: str) -> bytes:
    return bytes.fromhex(value[2:])


def word(value: Json) -> bytes:
    if isinstance(value, bytes):
        return value
    return to_bytes(value) if isinstance(value, str) else (value % (1 << 256)).to_bytes(32, "big")


def H(*values: Json) -> bytes:  # noqa: N802 - its name on the page
    return keccak(b"".join(map(word, values)))


def hash_list(items: list[Json]) -> bytes:
    return H(32, len(items), *items)


def hash_signatures(signatures: bytes) -> bytes:
    return hash_list([keccak(signatures[at : at + CHUNK]) for at in range(0, len(signatures), CHUNK)])


def fill(items: list[Json], count: int) -> list[Json]:
    return [*items, *[0] * (count - len(items))]


def pack_position(position: list[int]) -> int:
    return position[0] << 32 | position[1] + BIAS


def pack_quote(quote: list[int]) -> int:
    value = 0
    for item, bits in zip(quote, QUOTE_BITS, strict=True):
        value = value << bits | item
    return value


# -- leaves, of a struct as the state has it; arguments have positions, legs and quotes packed already


def hash_market(market: list[Json]) -> bytes:
    index_price, mark_time, slices, *breaker = market
    flat = [value for item in slices for value in fill(item, SLICE_WORDS)]
    return H(index_price, mark_time, *fill(flat, SLICE_WORDS * SLICES), *breaker) if mark_time else ZERO


def hash_account(account: list[Json], orders: bytes) -> bytes:
    owner, cash, generation, nonce, flag, positions, *rest = account
    held = positions if isinstance(positions, str) else hash_list([pack_position(item) for item in positions])
    return H(owner, cash, generation, nonce, flag, held, *rest, orders) if owner else ZERO


def hash_order(order: list[Json]) -> bytes:
    nonce, generation, legs, *rest = order
    return H(nonce, generation, *fill(legs, LEGS), *rest)


def hash_page(page: list[Json]) -> bytes:
    *head, quotes = page
    return H(*head, *fill([pack_quote(item) if isinstance(item, list) else item for item in quotes], QUOTES))


def hash_slot(entry: list[Json]) -> bytes:
    body = hash_page(entry) if len(entry) == len(STRUCTS["Page"]) else hash_order(entry)
    return H(entry[0], body) if entry[0] else ZERO


# -- trees


def compute_root(leaves: Tree, depth: int) -> bytes:
    empty = ZERO
    for _ in range(depth):
        parents = {index >> 1 for index in leaves}
        leaves = {at: keccak(leaves.get(2 * at, empty) + leaves.get(2 * at + 1, empty)) for at in parents}
        empty = keccak(empty + empty)
    return leaves.get(0, empty)


def fold(leaf: bytes, index: int, siblings: list[str]) -> bytes:
    for sibling in map(to_bytes, siblings):
        leaf = keccak(sibling + leaf if index & 1 else leaf + sibling)
        index >>= 1
    return leaf


class Reader:
    """One vector. `writes` are put over what was there by whoever asks for the state after it."""

    def __init__(self, vector: Json, params: Json) -> None:
        self.v, self.params = vector, params
        self.before: Json = dict(zip(STRUCTS["Header"], vector["header"], strict=True))
        self.after: Json = dict(zip(STRUCTS["Header"], vector["after"], strict=True))
        writes = vector["writes"]
        self.accounts = dict(vector.get("accounts", []))
        self.orders = {(index, slot): entry for index, slot, entry in vector.get("orders", [])}
        self.words = dict(vector.get("words", []))
        self.new_accounts = dict(writes.get("accounts", []))
        self.new_orders = {(index, slot): entry for index, slot, entry in writes.get("orders", [])}
        self.new_words = dict(writes.get("words", []))

    # the state

    def compute_state(self, is_after: bool) -> bytes:
        """The root from the structs."""
        v, writes = self.v, self.v["writes"] if is_after else {}
        p = self.params
        orders = {**self.orders, **(self.new_orders if is_after else {})}
        accounts = {**self.accounts, **(self.new_accounts if is_after else {})}
        words = {**self.words, **(self.new_words if is_after else {})}
        slots: dict[int, Tree] = {}
        for (index, slot), entry in orders.items():
            slots.setdefault(index, {})[slot] = hash_slot(entry)
        leaves = {i: hash_account(a, compute_root(slots.get(i, {}), p["slot_depth"])) for i, a in accounts.items()}
        roots = {
            "markets": compute_root(dict(enumerate(map(hash_market, writes.get("markets", v["markets"])))), 1),
            "words": compute_root({index: word(value) for index, value in words.items()}, p["account_depth"] - 8 + 2),
            "accounts": compute_root(leaves, p["account_depth"]),
            "outbox": compute_root({item[0]: H(*item) for item in writes.get("outbox", [])}, p["outbox_depth"]),
        }
        rest = compute_root({at: roots[place] for at, place in enumerate(PLACES)}, 2)
        return keccak(H(*writes.get("globals", v["globals"])) + rest)

    # what the header hashes

    def list_inputs(self) -> dict[str, Json]:
        """The step's own inputs, by their names."""
        names = INPUTS[self.before["phase"]]
        return dict(zip(names, self.v["arguments"][: len(names)], strict=True))

    def check_preimages(self) -> None:
        """Of the header, as fields of the vector and as inputs of the contract."""
        v, h, inputs = self.v, self.before, self.list_inputs()
        scratch = self.compute_scratch()
        assert to_bytes(h["scratch"]) == (scratch or ZERO)
        if "rows" in inputs:
            assert inputs["rows"] == v.get("rows", "0x")
            assert keccak(to_bytes(inputs["rows"])) == to_bytes(h["rows"])
        if "chunk" in inputs:
            self.check_chunks(inputs)
        if "record" in inputs:
            self.check_record(inputs)

    def compute_scratch(self) -> bytes | None:
        """From the vector's fields, which are the inputs too."""
        v, inputs = self.v, self.list_inputs()
        if "items" in inputs:
            assert inputs["items"] == v["items"]
            return hash_list(v["items"])
        if "trade" in inputs:
            head, (legs, *tail) = v["trade"][:4], v["trade"][4:]
            assert inputs["trade"] == v["trade"]
            return H(*head, *fill(legs, LEGS), *tail)
        if "sweep" in inputs:
            sweep, lines = v.get("sweep", [*[0] * 14, "0x" + "00" * 32]), v.get("lines", [])
            assert inputs["sweep"] == sweep
            assert inputs.get("lines", lines) == lines
            assert to_bytes(sweep[-1]) == (hash_list(lines) if lines else ZERO)
            return H(*sweep)
        return None if self.before["phase"] != self.shutdown_phase else hash_list(v["items"])

    shutdown_phase = next(int(phases.split()[1]) for name, phases, _, _ in CONTRACTS if name == "shutdown")

    def check_chunks(self, inputs: dict[str, Json]) -> None:
        """The signatures of the source, and the chunks that the step needs of them."""
        h, signatures = self.before, to_bytes(self.v.get("signatures", "0x"))
        chunks = [signatures[at : at + CHUNK] for at in range(0, len(signatures), CHUNK)]
        assert [to_bytes(item) for item in inputs["chunk hashes"]] == [keccak(chunk) for chunk in chunks]
        assert hash_signatures(signatures) == to_bytes(h["signatures"])
        at = h["signature"] // 32
        if "next chunk" in inputs:
            at = min(at, len(chunks))
            assert to_bytes(inputs["next chunk"]) == (chunks[at + 1] if at + 1 < len(chunks) else b"")
        assert to_bytes(inputs["chunk"]) == (chunks[at] if at < len(chunks) else b"")

    def check_record(self, inputs: dict[str, Json]) -> None:
        """The batch of a record, and what of it the step takes."""
        v, h, record = self.v, self.before, inputs["record"]
        hashes = [self.hash_batch(*batch) for batch in v["batches"]]
        at = h["batch"] if "path" in inputs else h["batch"] - 1
        assert record == v["batches"][at][0]
        if "path" in inputs:
            assert compute_root(dict(enumerate(hashes)), self.params["batch_depth"]) == to_bytes(h["inbox"])
            assert fold(hashes[at], at, inputs["path"]) == to_bytes(h["inbox"])
            return
        assert hashes[at] == to_bytes(h["record"])
        _, messages, frames = v["batches"][at]
        digests = [to_bytes(item) for item in inputs["hashes"]]
        if "data" in inputs:
            time, data, signatures = frames[h["frame"]]
            assert (inputs["time"], inputs["data"]) == (time, data)
            assert digests[h["frame"]] == H(time, keccak(to_bytes(data)), inputs["signatures hash"])
            assert hash_list(digests) == to_bytes(record[7])
        else:
            time, authority, rows, signatures = messages[h["message"]]
            assert (inputs["time"], inputs["authority"], to_bytes(inputs["rows hash"])) == (time, authority, keccak(to_bytes(rows)))
            assert digests[h["message"]] == H(time, authority, inputs["rows hash"], inputs["signatures hash"])
            assert hash_list(digests) == to_bytes(record[5])
        assert hash_signatures(to_bytes(signatures)) == to_bytes(inputs["signatures hash"])

    @staticmethod
    def hash_batch(record: Json, messages: Json, frames: Json) -> bytes:
        """Of its record; what of its messages and frames is there must be in it."""
        m = [H(time, by, keccak(to_bytes(rows)), hash_signatures(to_bytes(signatures))) for time, by, rows, signatures in messages]
        f = [H(time, keccak(to_bytes(data)), hash_signatures(to_bytes(signatures))) for time, data, signatures in frames]
        assert not m or hash_list(m) == to_bytes(record[5])
        assert not f or hash_list(f) == to_bytes(record[7])
        return H(*record)

    # the structs of the arguments

    def list_touches(self) -> list[tuple[Json, list[Json]]]:
        """Each touch of the vector with its arguments; those that the step left out are empty."""
        left, found = [list(item) for item in self.v["touches"]], []
        at = len(INPUTS[self.before["phase"]])
        for kind in TOUCHES[self.before["phase"]]:
            values = self.v["arguments"][at : at + WIDTHS[kind]]
            at += WIDTHS[kind]
            if left and left[0][0] == ("account" if kind == "holder" else kind):
                found.append((left.pop(0), values))
        assert not left
        assert at == len(self.v["arguments"])
        return found

    def check_arguments(self) -> None:
        """Each struct against the tree that the writes before it leave, and the tree at the end against the root after the step."""
        touches = self.list_touches()
        if not touches:
            assert self.after["state"] == self.before["state"]
            return
        (kind, *_), (g, rest) = touches[0]
        assert kind == "globals"
        assert g == self.v["globals"]
        assert keccak(H(*g) + to_bytes(rest)) == to_bytes(self.before["state"])
        tree = to_bytes(rest)
        for number, (touch, values) in enumerate(touches[1:], 1):
            tree = self.check_touch(touch, values, tree, touches[number + 1 :])
        assert keccak(H(*self.v["writes"].get("globals", g)) + tree) == to_bytes(self.after["state"])

    def check_touch(self, touch: Json, values: list[Json], tree: bytes, later: list[tuple[Json, list[Json]]]) -> bytes:
        """The tree after what was touched is written."""
        kind, *place = touch
        match kind:
            case "markets":
                states = values[0], self.v["writes"].get("markets", values[0])
                roots = [fold(compute_root(dict(enumerate(map(hash_market, markets))), 1), 0, values[1]) for markets in states]
            case "word":
                (index,) = place
                again = next((other[0] for item, other in later if item == touch), self.new_words.get(index, values[0]))
                at = 1 << self.params["account_depth"] - 8 + 2 | index
                roots = [fold(word(value), at, values[1]) for value in (values[0], again)]
            case "outbox":
                ((index, owner, amount),) = self.v["writes"]["outbox"]
                assert [index] == place
                at = 3 << self.params["outbox_depth"] | index
                roots = [fold(leaf, at, values[0]) for leaf in (ZERO, H(index, owner, amount))]
            case "account":
                roots = self.check_account(place[0], values, later[0] if later else None)
            case _:
                return tree  # an order slot: checked with its account
        assert roots[0] == tree, touch
        return roots[1]

    def check_account(self, index: int, values: list[Json], behind: tuple[Json, list[Json]] | None) -> list[bytes]:
        """The roots before and after it is written, with the order slot that is touched behind it."""
        (*fields, orders), siblings, *packed = values
        if packed:
            assert hash_list(packed[0]) == to_bytes(fields[5]) or not fields[0]
            assert packed[0] == [pack_position(item) for item in self.accounts.get(index, [None] * 5 + [[]])[5]]
        new_orders = to_bytes(orders)
        if behind is not None and behind[0][0] in ("order", "entry"):
            assert behind[0][1] == index
            new_orders = self.check_slot(behind[0][2], index, behind[1], to_bytes(orders))
        at = 2 << self.params["account_depth"] | index
        after = self.new_accounts.get(index, fields)
        return [fold(hash_account(fields, to_bytes(orders)), at, siblings), fold(hash_account(after, new_orders), at, siblings)]

    def check_slot(self, slot: int, index: int, values: list[Json], orders: bytes) -> bytes:
        """The root of the account's slots after it."""
        first, second, siblings = values
        if isinstance(first, int):
            leaf = H(first, second) if first else ZERO
        else:
            leaf = hash_slot(first) if first[0] else hash_slot(second)
        assert fold(leaf, slot, siblings) == orders
        after = self.new_orders.get((index, slot))
        return fold(leaf if after is None else hash_slot(after), slot, siblings)


def check(vector: Json, params: Json) -> None:
    """Everything that can be known without running the step."""
    r = Reader(vector, params)
    assert r.compute_state(False) == to_bytes(r.before["state"]), "the state before"
    assert r.compute_state(True) == to_bytes(r.after["state"]), "the state after"
    r.check_preimages()
    r.check_arguments()
