# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Claims
@notice The tree of claims about the state after each epoch, the tournaments of duels that decide between rivals, and the stakes behind
    them. docs/dispute.md has the rules.
@dev The pot of a position is one stake for each dead claim of it: claims of one position never share a stake, and no final claim stands
    on a dead one's. `advance_stake` keeps it so: what it moves onto a claim comes on top of the stake that the claim was entered with, and a
    stake only goes down the tree, so one that entered with a claim that died is below it for ever.
"""

from .parts import duels
from .parts import entries
from .parts import nodes as nodes_of
from .parts import positions
from .parts import stakes as purse
from .parts import wages

initializes: duels
initializes: entries
initializes: positions
initializes: purse
initializes: wages

exports: (
    duels.ROUNDS,
    duels.CENSORSHIP_S,
    duels.GRACE_S,
    positions.GROUP_BITS,
    positions.ENTRY_S,
    positions.ROUND_S,
    positions.generations,
    purse.STAKE,
    wages.work,
    wages.paid,
)

# ---- interfaces

interface Inbox:
    def EPOCH_S() -> uint256: view
    def get_epoch(epoch: uint256) -> (bytes32, uint256): view
    def next_epoch(epoch: uint256) -> uint256: view

interface Judge:
    def run(args: Bytes[28672]) -> (bytes32, bytes32): view

# ---- constants

NODES: constant(uint256) = 16  # of a reveal
LEVELS: constant(uint256) = 4  # of a reveal
MAX_HEIGHT: constant(uint256) = 28
MAX_ARGS: constant(uint256) = 28672

# ---- immutables

INBOX: public(immutable(address))
JUDGE: public(immutable(address))
GENESIS: public(immutable(bytes32))
EPOCH_S: immutable(uint256)
HEIGHT: public(immutable(uint256))

# ---- storage

proven: public(HashMap[bytes32, bytes32])  # leaf before a step -> leaf after it

# ---- events

event Claimed:
    claim_id: indexed(bytes32)
    parent: indexed(bytes32)
    position: indexed(bytes32)
    epoch: uint256
    post_root: bytes32
    history: bytes32
    nodes: DynArray[bytes32, NODES]
    claimant: address
    stake_id: bytes32
    close: uint256

event StepProven:
    leaf_before: indexed(bytes32)
    leaf_after: bytes32

event ClaimDied:
    claim_id: indexed(bytes32)
    position: indexed(bytes32)

event ClaimWon:
    claim_id: indexed(bytes32)
    position: indexed(bytes32)

event ClaimFinal:
    claim_id: indexed(bytes32)
    parent: indexed(bytes32)
    epoch: uint256
    post_root: bytes32

event StakeWithdrawn:
    stake_id: indexed(bytes32)
    owner: indexed(address)
    amount: uint256

# ---- constructor

@deploy
def __init__(
    inbox: address,
    judge: address,
    genesis_root: bytes32,
    height: uint256,
    group_bits: uint256,
    entry_s: uint256,
    censorship_s: uint256,
    grace_s: uint256,
    stake: uint256,
):
    assert height != 0 and height % LEVELS == 0 and height <= MAX_HEIGHT, "claims: bad height"
    assert genesis_root != empty(bytes32), "claims: no genesis"
    assert judge.is_contract, "claims: no judge"
    assert group_bits != 0 and group_bits <= 5, "claims: bad size of groups"
    assert grace_s != 0 and entry_s + censorship_s + grace_s < 2**32, "claims: bad times"
    INBOX = inbox
    JUDGE = judge
    EPOCH_S = staticcall Inbox(inbox).EPOCH_S()
    HEIGHT = height
    duels.__init__(height // LEVELS, censorship_s, grace_s)
    positions.__init__(group_bits, entry_s, 2 * censorship_s + (height // LEVELS + 2) * grace_s)
    purse.__init__(stake)
    GENESIS = entries._compute_claim_id(empty(bytes32), 0, genesis_root, empty(bytes32))
    entries.entries[GENESIS].post_root = genesis_root
    entries._set_status(GENESIS, entries.FINAL)


# ---- external: claims

@external
@payable
def claim(
    parent: bytes32,
    epoch: uint256,
    post_root: bytes32,
    history: bytes32,
    nodes: DynArray[bytes32, NODES],
    siblings: DynArray[bytes32, MAX_HEIGHT],
    stake_from: bytes32,
) -> bytes32:
    """
    @notice Claim that `epoch`, run from the parent's state, takes the steps of `history` and ends in `post_root`.
    @param nodes The first reveal.
    @param siblings Bottom first: they prove the last leaf, a halted header.
    @param stake_from Zero to pay a new stake, else the sender's stake that sits on the parent.
    """
    gas_start: uint256 = msg.gas
    # READ
    parent_entry: entries.Entry = entries._get_entry(parent)
    generation: uint256 = positions.generations[parent]
    position_id: bytes32 = positions._compute_position_id(parent, generation)
    position: positions.Position = positions._get_position(position_id)
    claim_id: bytes32 = entries._compute_claim_id(position_id, epoch, post_root, history)
    # CHECK
    assert self._is_alive(parent, parent_entry), "claims: no live parent"
    assert post_root != empty(bytes32), "claims: no state"
    assert entries.entries[claim_id].post_root == empty(bytes32), "claims: claimed already"
    if position.close == 0:
        parent_epoch: uint256 = positions._get_position(self._get_position_id_of(parent_entry)).epoch
        assert epoch != 0 and epoch == staticcall Inbox(INBOX).next_epoch(parent_epoch), "claims: not the next epoch"
        assert block.timestamp // EPOCH_S > epoch, "claims: the epoch is not over"
        position = positions.Position(epoch=epoch, close=block.timestamp + positions.ENTRY_S, count=0)
    assert epoch == position.epoch, "claims: not the next epoch"
    assert block.timestamp < position.close, "claims: entry is closed"
    assert nodes_of._fold(nodes) == history, "claims: the nodes are not the history's"
    self._check_last_leaf(epoch, post_root, history, siblings)
    # WRITE
    seed: uint256 = positions._enter(position_id, position, claim_id)
    entries._set_entry(
        claim_id,
        entries.Entry(
            parent=parent, post_root=post_root, claimant=msg.sender, generation=generation, seed=seed, round=0,
            is_staked=stake_from == empty(bytes32), status=entries.PENDING,
        ),
        wages._price(gas_start, wages.CLAIM_GAS if stake_from == empty(bytes32) else wages.MOVED_GAS),
    )
    stake_id: bytes32 = claim_id
    if stake_from == empty(bytes32):
        assert msg.value == purse.STAKE, "claims: not the stake"
    else:
        assert msg.value == 0, "claims: the stake is there already"
        purse._move(stake_from, entries._get_stake_owner(stake_from), parent, claim_id)
        stake_id = stake_from
    log Claimed(
        claim_id=claim_id, parent=parent, position=position_id, epoch=epoch, post_root=post_root, history=history, nodes=nodes,
        claimant=msg.sender, stake_id=stake_id, close=position.close,
    )
    return claim_id


@external
def promote(claim_id: bytes32):
    """
    @notice A claim that nobody stands against in its group's round moves up. Whoever wins a duel and is alone then does so by that call.
    """
    gas_start: uint256 = msg.gas
    entry: entries.Entry = entries._get_entry(claim_id)
    position_id: bytes32 = self._get_position_id_of(entry)
    position: positions.Position = positions._get_position(position_id)
    number: uint256 = positions._get_number(entry.round, entry.seed)
    rising: bytes32 = positions._find_rising(position_id, position, entry.round, number)
    assert claim_id != empty(bytes32) and rising == claim_id, "claims: not alone in its round"
    self._move_up(claim_id, position_id, entry.round, number)
    wages._credit(claim_id, entry.claimant, gas_start)


@external
def reopen(parent: bytes32):
    """
    @notice No claim can win any more: claims may enter anew. What is left of the position is dead.
    """
    position_id: bytes32 = positions._compute_position_id(parent, positions.generations[parent])
    assert positions._is_stuck(position_id, positions._get_position(position_id)), "claims: the position is not stuck"
    positions._reopen(parent)


@external
def finalize(claim_id: bytes32):
    """
    @notice Record that a claim is final: its parent is, and it won its position.
    """
    gas_start: uint256 = msg.gas
    # READ
    entry: entries.Entry = entries._get_entry(claim_id)
    position_id: bytes32 = self._get_position_id_of(entry)
    position: positions.Position = positions._get_position(position_id)
    # CHECK
    assert entry.post_root != empty(bytes32) and entry.status == entries.PENDING, "claims: not a pending claim"
    assert self._is_final(entry.parent), "claims: the parent is not final"
    assert positions._get_winner(position_id, position) == claim_id, "claims: not the winner"
    # WRITE
    entries._set_status(claim_id, entries.FINAL)
    log ClaimFinal(claim_id=claim_id, parent=entry.parent, epoch=position.epoch, post_root=entry.post_root)
    if position.count > 1:  # its rivals pay
        wages._owe(claim_id, entry.claimant, entries._get_wage(claim_id))
        wages._credit(claim_id, entry.claimant, gas_start)


# ---- external: duels

@external
def reveal(mine: bytes32, other: bytes32, node_other: bytes32, nodes: DynArray[bytes32, NODES]):
    """
    @notice Reveal for `mine`, first in a round of its duel with `other`. Anyone may call it for any claim.
    @param node_other The other's disputed node.
    """
    gas_start: uint256 = msg.gas
    duel: duels.Duel = self._get_duel(mine, other)
    duel = duels._reveal(mine, other, duel, node_other, nodes)
    duels._set_duel(mine, other, duel)
    wages._credit(mine, entries._get_claimant(mine), gas_start)


@external
def descend(mine: bytes32, other: bytes32, difference: nodes_of.Difference, next_nodes: DynArray[bytes32, NODES]):
    """
    @notice Answer the other's reveal for `mine` with the first difference, which completes the round; and reveal in the next one.
    @param next_nodes Nothing to leave the next round's first reveal to whoever comes; in the last round there is none.
    """
    gas_start: uint256 = msg.gas
    # READ
    duel: duels.Duel = self._get_duel(mine, other)
    # CHECK
    assert duel.round < duels.ROUNDS, "claims: the proof is due"
    node_mine: bytes32 = empty(bytes32)
    node_other: bytes32 = empty(bytes32)
    node_mine, node_other = nodes_of._raise(difference)
    if duel.round == 0:
        assert self._is_history(mine, node_mine) and self._is_history(other, node_other), "claims: not the disputed nodes"
    else:
        assert duels._compute_pair(mine, other, node_mine, node_other) == duel.pair, "claims: not the disputed nodes"
    # WRITE
    duel = duels._descend(mine, other, duel, difference)
    if len(next_nodes) != 0:
        duel = duels._reveal(mine, other, duel, difference.node_other, next_nodes)
    duels._set_duel(mine, other, duel)
    wages._credit(mine, entries._get_claimant(mine), gas_start)


@external
def prove(a: bytes32, b: bytes32, leaf_a: bytes32, leaf_b: bytes32, args: Bytes[MAX_ARGS], path: DynArray[bytes32, MAX_HEIGHT]):
    """
    @notice Decide a duel by the one step that the two differ in. If a side is out of time, the clock decides instead.
    @param leaf_a The disputed leaves.
    @param args The step's arguments, or the 32 bytes of the leaf before a step that is proven already; nothing for leaf 0.
    @param path Bottom first: proves the leaf before in `a`'s history.
    """
    gas_start: uint256 = msg.gas
    # READ
    duel: duels.Duel = self._get_duel(a, b)
    is_out_a: bool = duels._is_out(duel, duels.A)
    is_out_b: bool = duels._is_out(duel, duels.B)
    # COMPUTE
    if not is_out_a and not is_out_b:
        assert duel.round == duels.ROUNDS, "claims: no proof is due"
        assert duels._compute_pair(a, b, leaf_a, leaf_b) == duel.pair, "claims: not the disputed leaves"
        right: bytes32 = self._prove_leaf(a, duel.index, args, path)
        is_out_a = leaf_a != right
        is_out_b = leaf_b != right
    # WRITE
    self._decide(a, b, is_out_a, is_out_b, gas_start)


@external
def timeout(a: bytes32, b: bytes32):
    """
    @notice Kill whoever is out of time.
    """
    gas_start: uint256 = msg.gas
    duel: duels.Duel = self._get_duel(a, b)
    self._decide(a, b, duels._is_out(duel, duels.A), duels._is_out(duel, duels.B), gas_start)


# ---- external: money

@external
def advance_stake(stake_id: bytes32, child: bytes32):
    """
    @notice Move the sender's stake from its tip to a live child of it, whoever made that: the stake shares the child's fate from then on.
    """
    entry: entries.Entry = entries._get_entry(child)
    assert entry.parent != empty(bytes32) and self._is_alive(child, entry), "claims: no live child"
    purse._move(stake_id, entries._get_stake_owner(stake_id), entry.parent, child)


@external
@nonreentrant
def withdraw_stake(stake_id: bytes32):
    """
    @notice Pay a stake back to its owner: the claim that it sits on is final.
    """
    owner: address = entries._get_stake_owner(stake_id)
    assert owner != empty(address), "claims: no such stake"
    assert self._is_final(purse._get_tip(stake_id)), "claims: its claim is not final"
    entries._release_stake(stake_id)
    log StakeWithdrawn(stake_id=stake_id, owner=owner, amount=purse.STAKE)
    raw_call(owner, b"", value=purse.STAKE)


@external
@nonreentrant
def withdraw_work(claim_id: bytes32):
    """
    @notice Pay the sender's work for a final claim, out of the stakes of its dead rivals. First come, first served if they do not
        suffice; a stake is sized so that one pays for all the work of one duel.
    """
    entry: entries.Entry = entries._get_entry(claim_id)
    assert entry.status == entries.FINAL and claim_id != GENESIS, "claims: not a final claim"
    pot: uint256 = (positions._get_position(self._get_position_id_of(entry)).count - 1) * purse.STAKE
    raw_call(msg.sender, b"", value=wages._pay(claim_id, pot))


# ---- external: views

@external
@view
def get_claim(claim_id: bytes32) -> (bytes32, bytes32, uint256, bytes32, address, uint256, uint256, bool, bool):
    """
    @return position, parent, epoch, post_root, claimant, seed, round, is_alive, is_final
    """
    e: entries.Entry = entries._get_entry(claim_id)
    assert e.post_root != empty(bytes32), "claims: no such claim"
    position_id: bytes32 = self._get_position_id_of(e)
    epoch: uint256 = positions._get_position(position_id).epoch
    return position_id, e.parent, epoch, e.post_root, e.claimant, e.seed, e.round, self._is_alive(claim_id, e), e.status == entries.FINAL


@external
@view
def get_position(parent: bytes32) -> (bytes32, uint256, uint256, uint256, uint256, uint256, bytes32):
    """
    @return position, generation, epoch, close, rounds, count, winner: of the current generation
    """
    generation: uint256 = positions.generations[parent]
    position_id: bytes32 = positions._compute_position_id(parent, generation)
    p: positions.Position = positions._get_position(position_id)
    return position_id, generation, p.epoch, p.close, positions._count_rounds(p.count), p.count, positions._get_winner(position_id, p)


@external
@view
def get_group(position_id: bytes32, round: uint256, number: uint256) -> positions.Group:
    return positions._get_group(position_id, round, number)


@external
@view
def get_duel(a: bytes32, b: bytes32) -> (uint256, uint256, uint256, uint256, uint256, uint256, bytes32, bool, bool):
    """
    @return round, index, since, left_a, left_b, revealed, pair, is_out_a, is_out_b: `pair` is the hash of the two disputed nodes
    """
    d: duels.Duel = self._find_duel(a, b)
    left_a: uint256 = duels.CENSORSHIP_S - d.used_a
    left_b: uint256 = duels.CENSORSHIP_S - d.used_b
    return d.round, d.index, d.since, left_a, left_b, d.revealed, d.pair, duels._is_out(d, duels.A), duels._is_out(d, duels.B)


@external
@view
def stakes(stake_id: bytes32) -> (address, bytes32):
    """
    @return owner (zero: none, or paid back), tip
    """
    return entries._get_stake_owner(stake_id), purse._get_tip(stake_id)


@external
@view
def is_final(claim_id: bytes32) -> bool:
    return self._is_final(claim_id)


@external
@view
def is_alive(claim_id: bytes32) -> bool:
    """
    @notice Of the claim itself: a live claim below a dead one is merely worthless.
    """
    return self._is_alive(claim_id, entries._get_entry(claim_id))


@external
@view
def get_final_root(claim_id: bytes32) -> bytes32:
    """
    @notice The state that a final claim ends in.
    """
    assert self._is_final(claim_id), "claims: not a final claim"
    return entries.entries[claim_id].post_root


# ---- internal: claims and positions

@internal
@pure
def _get_position_id_of(e: entries.Entry) -> bytes32:
    return positions._compute_position_id(e.parent, e.generation)


@internal
@view
def _is_final(claim_id: bytes32) -> bool:
    return entries._get_status(claim_id) == entries.FINAL


@internal
@view
def _is_alive(claim_id: bytes32, e: entries.Entry) -> bool:
    """
    @notice Final, or it can still become so by itself: whoever stands in a round when it ends, and did not win the last one, is left behind.
    """
    if e.status != entries.PENDING or e.parent == empty(bytes32):
        return e.status == entries.FINAL
    position_id: bytes32 = self._get_position_id_of(e)
    p: positions.Position = positions._get_position(position_id)
    return block.timestamp < positions._get_start(p, e.round + 1) or positions._get_winner(position_id, p) == claim_id


@internal
def _move_up(claim_id: bytes32, position_id: bytes32, round: uint256, number: uint256):
    entries._move_up(claim_id)
    positions._join(position_id, round + 1, positions._get_number(0, number), claim_id)
    log positions.ClaimPromoted(claim_id=claim_id, position=position_id, round=round + 1)


@internal
@view
def _check_last_leaf(epoch: uint256, post_root: bytes32, history: bytes32, siblings: DynArray[bytes32, MAX_HEIGHT]):
    """
    @notice The history ends halted: all of the epoch's batches are opened, and the state is the claimed one.
    """
    root: bytes32 = empty(bytes32)
    count: uint256 = 0
    root, count = staticcall Inbox(INBOX).get_epoch(epoch)
    assert len(siblings) == HEIGHT, "claims: wrong number of siblings"
    leaf: bytes32 = keccak256(abi_encode(post_root, root, count, count, empty(bytes32[12])))
    assert nodes_of._climb(leaf, (1 << HEIGHT) - 1, siblings) == history, "claims: the last leaf is not that halted header"


# ---- internal: duels

@internal
@view
def _is_history(claim_id: bytes32, history: bytes32) -> bool:
    e: entries.Entry = entries._get_entry(claim_id)
    position_id: bytes32 = self._get_position_id_of(e)
    epoch: uint256 = positions._get_position(position_id).epoch
    return entries._compute_claim_id(position_id, epoch, e.post_root, history) == claim_id


@internal
@view
def _find_duel(a: bytes32, b: bytes32) -> duels.Duel:
    """
    @notice Of two claims of one position, round and group. They meet once; what was checked when their duel began stays so while both live.
    """
    duel: duels.Duel = duels._get_duel(a, b)
    if duel.start != 0:
        return duel
    entry_a: entries.Entry = entries._get_entry(a)
    entry_b: entries.Entry = entries._get_entry(b)
    assert a != b and entry_a.parent != empty(bytes32) and entry_a.parent == entry_b.parent, "claims: no such duel"
    assert entry_a.generation == entry_b.generation and entry_a.round == entry_b.round, "claims: no such duel"
    number: uint256 = positions._get_number(entry_a.round, entry_a.seed)
    assert number == positions._get_number(entry_b.round, entry_b.seed), "claims: not of one group"
    position: positions.Position = positions._get_position(self._get_position_id_of(entry_a))
    return duels._open_duel(positions._get_start(position, entry_a.round))


@internal
@view
def _get_duel(a: bytes32, b: bytes32) -> duels.Duel:
    """
    @notice The same for two that are both alive, before their round is over.
    """
    assert entries._get_status(a) | entries._get_status(b) == entries.PENDING, "claims: decided already"
    duel: duels.Duel = self._find_duel(a, b)
    assert block.timestamp < duel.start + positions.ROUND_S, "claims: the deadline has passed"
    return duel


@internal
def _prove_leaf(a: bytes32, index: uint256, args: Bytes[MAX_ARGS], path: DynArray[bytes32, MAX_HEIGHT]) -> bytes32:
    """
    @notice The right leaf `index`, which follows the one before it in `a`'s history. Reverts if it is not proven.
    """
    e: entries.Entry = entries._get_entry(a)
    if index == 0:
        root: bytes32 = empty(bytes32)
        count: uint256 = 0
        root, count = staticcall Inbox(INBOX).get_epoch(positions._get_position(self._get_position_id_of(e)).epoch)
        return keccak256(abi_encode(entries.entries[e.parent].post_root, root, count, empty(bytes32[13])))
    leaf_before: bytes32 = empty(bytes32)
    right: bytes32 = empty(bytes32)
    if len(args) == 32:
        leaf_before = extract32(args, 0)
        right = self.proven[leaf_before]
        assert right != empty(bytes32), "claims: no such step is proven"
    else:
        leaf_before, right = staticcall Judge(JUDGE).run(args)
        self.proven[leaf_before] = right
        log StepProven(leaf_before=leaf_before, leaf_after=right)
    assert len(path) == HEIGHT, "claims: wrong length of path"
    assert self._is_history(a, nodes_of._climb(leaf_before, index - 1, path)), "claims: not the leaf before"
    return right


@internal
def _decide(a: bytes32, b: bytes32, dies_a: bool, dies_b: bool, gas_start: uint256):
    """
    @notice What follows from a duel's end: who dies, who moves up, and whether the position is over.
    """
    assert dies_a or dies_b, "claims: nobody is out of time"
    entry: entries.Entry = entries._get_entry(a)
    position_id: bytes32 = self._get_position_id_of(entry)
    position: positions.Position = positions._get_position(position_id)
    number: uint256 = positions._get_number(entry.round, entry.seed)
    if dies_a:
        self._kill(a, position_id, entry.round, number)
    if dies_b:
        self._kill(b, position_id, entry.round, number)
    rising: bytes32 = positions._find_rising(position_id, position, entry.round, number)
    winner: bytes32 = positions._get_winner(position_id, position)
    if rising != empty(bytes32):
        self._move_up(rising, position_id, entry.round, number)
    elif winner != empty(bytes32):
        log ClaimWon(claim_id=winner, position=position_id)
    elif positions._is_stuck(position_id, position):
        positions._reopen(entry.parent)
    if not dies_a:
        wages._credit(a, entry.claimant, gas_start)
    elif not dies_b:
        wages._credit(b, entries._get_claimant(b), gas_start)


@internal
def _kill(claim_id: bytes32, position_id: bytes32, round: uint256, number: uint256):
    positions._leave(position_id, round, number, claim_id)
    entries._set_status(claim_id, entries.DEAD)
    log ClaimDied(claim_id=claim_id, position=position_id)
