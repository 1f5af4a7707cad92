# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Claims
@notice The tree of claims about the state after each epoch, the duels that decide between rivals, and the stakes behind them.
    docs/dispute.md has the rules.
@dev The pot of a position is one stake for each dead claim of it: claims of one position never share a stake, and no final claim stands
    on a dead one's. `advance_stake` keeps it so: what it moves onto a claim comes on top of the stake that the claim was entered with, and a
    stake only goes down the tree, so one that entered with a claim that died is below it for ever.
"""

from .parts import duels
from .parts import nodes as nodes_of
from .parts import positions
from .parts import stakes as purse

initializes: duels
initializes: positions
initializes: purse

exports: (duels.ROUNDS, duels.CENSORSHIP_S, duels.GRACE_S, positions.generations, purse.STAKE)

# ---- interfaces

interface Inbox:
    def EPOCH_S() -> uint256: view
    def get_epoch(epoch: uint256) -> (bytes32, uint256): view
    def next_epoch(epoch: uint256) -> uint256: view

interface Judge:
    def run(args: Bytes[28672]) -> (bytes32, bytes32): view

# ---- structs

struct Claim:
    parent: bytes32  # zero: genesis, or no claim
    post_root: bytes32  # zero: no claim
    history: bytes32
    standing: uint256  # status | generation of its position << 8

# ---- constants

GROUP: constant(uint256) = 32  # claims of a position
NODES: constant(uint256) = 16  # of a reveal
LEVELS: constant(uint256) = 4  # of a reveal
MAX_HEIGHT: constant(uint256) = 28
MAX_ARGS: constant(uint256) = 28672

PENDING: constant(uint256) = 0
DEAD: constant(uint256) = 1
FINAL: constant(uint256) = 2
STATUS: constant(uint256) = 255  # mask
GENERATION: constant(uint256) = 8  # shift

MAX_GAS_PRICE: constant(uint256) = 50 * 10**9  # wei; what work is paid for at most
TX_GAS: constant(uint256) = 21000
BYTE_GAS: constant(uint256) = 16
CREDIT_GAS: constant(uint256) = 10000  # what comes after the meter is read

# ---- immutables

INBOX: public(immutable(address))
JUDGE: public(immutable(address))
GENESIS: public(immutable(bytes32))
EPOCH_S: immutable(uint256)
HEIGHT: public(immutable(uint256))
ENTRY_S: public(immutable(uint256))  # P
ROUND_S: public(immutable(uint256))  # D

# ---- storage

claims: HashMap[bytes32, Claim]
proven: public(HashMap[bytes32, bytes32])  # leaf before a step -> leaf after it
work: public(HashMap[bytes32, HashMap[address, uint256]])  # wei that are owed if the claim is final, by claim and worker
paid: public(HashMap[bytes32, uint256])  # wei out of the pot of a final claim

# ---- events

event Claimed:
    claim_id: indexed(bytes32)
    parent: indexed(bytes32)
    position: indexed(bytes32)
    epoch: uint256
    post_root: bytes32
    history: bytes32
    nodes: DynArray[bytes32, NODES]
    stake_id: bytes32
    close: uint256

event StepProven:
    leaf_before: indexed(bytes32)
    leaf_after: bytes32

event ClaimDied:
    claim_id: indexed(bytes32)
    position: indexed(bytes32)
    alive: uint256

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

event WorkCredited:
    claim_id: indexed(bytes32)
    worker: indexed(address)
    amount: uint256

event WorkPaid:
    claim_id: indexed(bytes32)
    worker: indexed(address)
    amount: uint256


# ---- constructor

@deploy
def __init__(
    inbox: address,
    judge: address,
    genesis_root: bytes32,
    height: uint256,
    entry_s: uint256,
    censorship_s: uint256,
    grace_s: uint256,
    stake: uint256,
):
    assert height != 0 and height % LEVELS == 0 and height <= MAX_HEIGHT, "claims: bad height"
    assert genesis_root != empty(bytes32), "claims: no genesis"
    assert judge.is_contract, "claims: no judge"
    assert entry_s + censorship_s + grace_s < 2**32, "claims: times too long"
    INBOX = inbox
    JUDGE = judge
    EPOCH_S = staticcall Inbox(inbox).EPOCH_S()
    HEIGHT = height
    ENTRY_S = entry_s
    duels.__init__(height // LEVELS, censorship_s, grace_s)
    ROUND_S = 2 * censorship_s + (height // LEVELS + 2) * grace_s
    purse.__init__(stake)
    GENESIS = self._compute_claim_id(empty(bytes32), 0, genesis_root, empty(bytes32))
    self.claims[GENESIS].post_root = genesis_root
    self.claims[GENESIS].standing = FINAL


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
    @param nodes The first reveal. @param siblings Bottom first: they prove the last leaf, a halted header.
    @param stake_from Zero to pay a new stake, else the sender's stake that sits on the parent.
    """
    # READ
    parent_claim: Claim = self.claims[parent]
    generation: uint256 = positions.generations[parent]
    position_id: bytes32 = positions._compute_position_id(parent, generation)
    position: positions.Position = positions._get_position(position_id)
    claim_id: bytes32 = self._compute_claim_id(position_id, epoch, post_root, history)
    # CHECK
    assert self._is_alive(parent_claim), "claims: no live parent"
    assert post_root != empty(bytes32), "claims: no state"
    assert self.claims[claim_id].post_root == empty(bytes32), "claims: claimed already"
    if position.close == 0:
        parent_epoch: uint256 = positions._get_position(self._get_position_id_of(parent_claim)).epoch
        assert epoch != 0 and epoch == staticcall Inbox(INBOX).next_epoch(parent_epoch), "claims: not the next epoch"
        assert block.timestamp // EPOCH_S > epoch, "claims: the epoch is not over"
        position = positions.Position(epoch=epoch, close=block.timestamp + ENTRY_S, count=0, alive=0, survivors=empty(bytes32))
    assert epoch == position.epoch, "claims: not the next epoch"
    assert block.timestamp < position.close, "claims: entry is closed"
    assert position.count < GROUP, "claims: the group is full"
    assert nodes_of._fold(nodes) == history, "claims: the nodes are not the history's"
    self._check_last_leaf(epoch, post_root, history, siblings)
    # WRITE
    position.count += 1
    position.alive += 1
    position.survivors = position.survivors ^ claim_id
    positions._set_position(position_id, position)
    self.claims[claim_id] = Claim(
        parent=parent,
        post_root=post_root,
        history=history,
        standing=generation << GENERATION | PENDING,
    )
    stake_id: bytes32 = purse._place(claim_id, parent, stake_from)
    log Claimed(
        claim_id=claim_id,
        parent=parent,
        position=position_id,
        epoch=epoch,
        post_root=post_root,
        history=history,
        nodes=nodes,
        stake_id=stake_id,
        close=position.close,
    )
    return claim_id


@external
def reopen(parent: bytes32):
    """
    @notice Several are left at the deadline: all of them die, and claims may enter anew.
    """
    position_id: bytes32 = positions._compute_position_id(parent, positions.generations[parent])
    position: positions.Position = positions._get_position(position_id)
    assert position.alive > 1 and block.timestamp >= position.close + ROUND_S, "claims: the position is not stuck"
    position.alive = 0
    positions._set_position(position_id, position)
    positions._reopen(parent)


@external
def finalize(claim_id: bytes32):
    """
    @notice Record that a claim is final: its parent is, and it won its position.
    """
    item: Claim = self.claims[claim_id]
    position: positions.Position = positions._get_position(self._get_position_id_of(item))
    assert item.post_root != empty(bytes32) and item.standing & STATUS == PENDING, "claims: not a pending claim"
    assert self._is_final(item.parent), "claims: the parent is not final"
    assert positions._get_winner(position) == claim_id, "claims: not the winner"
    self.claims[claim_id].standing = item.standing | FINAL
    log ClaimFinal(claim_id=claim_id, parent=item.parent, epoch=position.epoch, post_root=item.post_root)


# ---- external: duels

@external
def move(
    mine: bytes32,
    other: bytes32,
    nodes_mine: DynArray[bytes32, NODES],
    nodes_other: DynArray[bytes32, NODES],
    next_nodes: DynArray[bytes32, NODES],
):
    """
    @notice Reveal for `mine` in its duel with `other`; complete the round if both have revealed; and reveal the next. Anyone may call
        it for any claim.
    """
    gas_start: uint256 = msg.gas
    # READ
    duel: duels.Duel = duels._get_duel(mine, other, self._get_close(mine, other))
    assert duel.round < duels.ROUNDS, "claims: the proof is due"
    # COMPUTE
    if duel.round == 0:
        duel.held_a = self.claims[mine].history
        duel.held_b = self.claims[other].history
    if len(nodes_mine) + len(nodes_other) != 0:
        duel = duels._complete(mine, other, duel, nodes_mine, nodes_other)
    else:
        assert len(next_nodes) != 0, "claims: nothing to do"
    if len(next_nodes) != 0:
        duel = duels._reveal(mine, other, duel, next_nodes)
    # WRITE
    duels._set_duel(mine, other, duel)
    self._credit(mine, gas_start)


@external
def prove(a: bytes32, b: bytes32, args: Bytes[MAX_ARGS], path: DynArray[bytes32, MAX_HEIGHT]):
    """
    @notice Decide a duel by the one step that the two differ in.
    @param args The step's arguments, or the 32 bytes of the leaf before a step that is proven already; nothing for leaf 0.
    @param path Bottom first: proves the leaf before in `a`'s history.
    """
    gas_start: uint256 = msg.gas
    # READ
    duel: duels.Duel = duels._get_duel(a, b, self._get_close(a, b))
    is_out_a: bool = duels._is_out(duel, duels.A)
    is_out_b: bool = duels._is_out(duel, duels.B)
    # COMPUTE
    right: bytes32 = empty(bytes32)
    if not is_out_a and not is_out_b:
        assert duel.round == duels.ROUNDS, "claims: no proof is due"
        if duel.index == 0:
            right = self._compute_opening_leaf(self.claims[a])
        else:
            leaf_before: bytes32 = empty(bytes32)
            if len(args) == 32:
                leaf_before = extract32(args, 0)
                right = self.proven[leaf_before]
                assert right != empty(bytes32), "claims: no such step is proven"
            else:
                leaf_before, right = staticcall Judge(JUDGE).run(args)
                self.proven[leaf_before] = right
                log StepProven(leaf_before=leaf_before, leaf_after=right)
            assert len(path) == HEIGHT, "claims: wrong length of path"
            root: bytes32 = nodes_of._climb(leaf_before, duel.index - 1, path)
            assert root == self.claims[a].history, "claims: not the leaf before"
    # WRITE
    self._decide(a, b, duel, is_out_a, is_out_b, right, gas_start)


@external
def timeout(a: bytes32, b: bytes32):
    """
    @notice Kill whoever is out of time.
    """
    gas_start: uint256 = msg.gas
    duel: duels.Duel = duels._get_duel(a, b, self._get_close(a, b))
    self._decide(a, b, duel, duels._is_out(duel, duels.A), duels._is_out(duel, duels.B), empty(bytes32), gas_start)


# ---- external: money

@external
def advance_stake(stake_id: bytes32, child: bytes32):
    """
    @notice Move the sender's stake from its tip to a live child of it, whoever made that: the stake shares the child's fate from then on.
    """
    item: Claim = self.claims[child]
    assert self._is_alive(item), "claims: no live child"
    purse._move(stake_id, item.parent, child)


@external
@nonreentrant
def withdraw_stake(stake_id: bytes32):
    """
    @notice Pay a stake back to its owner: the claim that it sits on is final.
    """
    stake: purse.Stake = purse._get(stake_id)
    assert stake.owner != empty(address), "claims: no such stake"
    assert self._is_final(stake.tip), "claims: its claim is not final"
    purse._stakes[stake_id].owner = empty(address)
    log StakeWithdrawn(stake_id=stake_id, owner=stake.owner, amount=purse.STAKE)
    raw_call(stake.owner, b"", value=purse.STAKE)


@external
@nonreentrant
def withdraw_work(claim_id: bytes32):
    """
    @notice Pay the sender's work for a final claim, out of the stakes of its dead rivals. First come, first served if they do not
        suffice; a stake is
        sized so that one pays for all the work of one duel.
    """
    # READ
    item: Claim = self.claims[claim_id]
    amount: uint256 = self.work[claim_id][msg.sender]
    # CHECK
    assert self._is_final(claim_id), "claims: not a final claim"
    assert amount != 0, "claims: no work to pay"
    # COMPUTE
    pot: uint256 = (positions._get_position(self._get_position_id_of(item)).count - 1) * purse.STAKE
    amount = min(amount, pot - self.paid[claim_id])
    # WRITE
    self.work[claim_id][msg.sender] = 0
    self.paid[claim_id] += amount
    log WorkPaid(claim_id=claim_id, worker=msg.sender, amount=amount)
    raw_call(msg.sender, b"", value=amount)


# ---- external: views

@external
@view
def get_claim(claim_id: bytes32) -> (bytes32, bytes32, uint256, bytes32, bytes32, bool, bool):
    """
    @return position, parent, epoch, post_root, history, is_alive, is_final
    """
    item: Claim = self.claims[claim_id]
    assert item.post_root != empty(bytes32), "claims: no such claim"
    position_id: bytes32 = self._get_position_id_of(item)
    epoch: uint256 = positions._get_position(position_id).epoch
    return position_id, item.parent, epoch, item.post_root, item.history, self._is_alive(item), item.standing & STATUS == FINAL


@external
@view
def get_position(parent: bytes32) -> (bytes32, uint256, uint256, uint256, uint256, uint256, uint256, bytes32):
    """
    @return position, generation, epoch, close, deadline, count, alive, winner: of the current generation
    """
    generation: uint256 = positions.generations[parent]
    position_id: bytes32 = positions._compute_position_id(parent, generation)
    p: positions.Position = positions._get_position(position_id)
    deadline: uint256 = 0
    if p.close != 0:
        deadline = p.close + ROUND_S
    return position_id, generation, p.epoch, p.close, deadline, p.count, p.alive, positions._get_winner(p)


@external
@view
def get_duel(a: bytes32, b: bytes32) -> (uint256, uint256, uint256, uint256, uint256, uint256, bytes32, bytes32, bool, bool):
    """
    @return round, index, since, left_a, left_b, revealed, node_a, node_b, is_out_a, is_out_b: the node of a side that has revealed is
        its reveal's hash
    """
    self._check_rivals(a, b)
    d: duels.Duel = duels._get_duel(a, b, positions._get_position(self._get_position_id_of(self.claims[a])).close)
    left_a: uint256 = duels.CENSORSHIP_S - d.used_a
    left_b: uint256 = duels.CENSORSHIP_S - d.used_b
    return d.round, d.index, d.since, left_a, left_b, d.revealed, d.held_a, d.held_b, duels._is_out(d, duels.A), duels._is_out(d, duels.B)


@external
@view
def stakes(stake_id: bytes32) -> (address, bytes32):
    """
    @return owner (zero: none, or paid back), tip
    """
    stake: purse.Stake = purse._get(stake_id)
    return stake.owner, stake.tip


@external
@view
def get_winner(parent: bytes32) -> bytes32:
    """
    @notice The claim that won the position below `parent`; zero if none yet.
    """
    return positions._get_winner(positions._get_position(positions._compute_position_id(parent, positions.generations[parent])))


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
    return self._is_alive(self.claims[claim_id])


@external
@view
def get_final_root(claim_id: bytes32) -> bytes32:
    """
    @notice The state that a final claim ends in.
    """
    assert self._is_final(claim_id), "claims: not a final claim"
    return self.claims[claim_id].post_root


# ---- internal: claims and positions

@internal
@pure
def _compute_claim_id(position_id: bytes32, epoch: uint256, post_root: bytes32, history: bytes32) -> bytes32:
    return keccak256(abi_encode(position_id, epoch, post_root, history))


@internal
@pure
def _get_position_id_of(item: Claim) -> bytes32:
    return positions._compute_position_id(item.parent, item.standing >> GENERATION)


@internal
@view
def _is_final(claim_id: bytes32) -> bool:
    return self.claims[claim_id].standing & STATUS == FINAL


@internal
@view
def _is_alive(item: Claim) -> bool:
    """
    @notice A position whose claims have all died at its deadline has none alive: its claims are not marked one by one.
    """
    if item.standing & STATUS == PENDING:
        return item.parent != empty(bytes32) and positions._get_position(self._get_position_id_of(item)).alive != 0
    return item.standing & STATUS == FINAL


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


@internal
@view
def _compute_opening_leaf(item: Claim) -> bytes32:
    root: bytes32 = empty(bytes32)
    count: uint256 = 0
    root, count = staticcall Inbox(INBOX).get_epoch(positions._get_position(self._get_position_id_of(item)).epoch)
    return keccak256(abi_encode(self.claims[item.parent].post_root, root, count, empty(bytes32[13])))


# ---- internal: duels

@internal
@view
def _check_rivals(a: bytes32, b: bytes32):
    """
    @notice Two claims of one position: of one parent, and of one generation.
    """
    parent: bytes32 = self.claims[a].parent
    assert a != b and parent != empty(bytes32) and parent == self.claims[b].parent, "claims: no such duel"
    assert self.claims[a].standing >> GENERATION == self.claims[b].standing >> GENERATION, "claims: no such duel"


@internal
@view
def _get_close(a: bytes32, b: bytes32) -> uint256:
    """
    @notice When entry closed for two live rivals, before their position's deadline: only after it may claims have died unmarked.
    """
    self._check_rivals(a, b)
    assert (self.claims[a].standing | self.claims[b].standing) & STATUS == PENDING, "claims: decided already"
    close: uint256 = positions._get_close(self._get_position_id_of(self.claims[a]))
    assert block.timestamp < close + ROUND_S, "claims: the deadline has passed"
    return close


@internal
def _decide(a: bytes32, b: bytes32, duel: duels.Duel, is_out_a: bool, is_out_b: bool, right: bytes32, gas_start: uint256):
    """
    @notice The one terminal rule: the clock decides first; else the step, if it is proven; else nothing does.
    """
    dies_a: bool = is_out_a
    dies_b: bool = is_out_b
    if not is_out_a and not is_out_b:
        assert right != empty(bytes32), "claims: nobody is out of time"
        dies_a = duel.held_a != right
        dies_b = duel.held_b != right
    position_id: bytes32 = self._get_position_id_of(self.claims[a])
    position: positions.Position = positions._get_position(position_id)
    if dies_a:
        position = self._kill(a, position_id, position)
    if dies_b:
        position = self._kill(b, position_id, position)
    positions._set_position(position_id, position)
    if position.alive == 0:
        positions._reopen(self.claims[a].parent)
    elif positions._get_winner(position) != empty(bytes32):
        log ClaimWon(claim_id=position.survivors, position=position_id)
    if not dies_a:
        self._credit(a, gas_start)
    elif not dies_b:
        self._credit(b, gas_start)


@internal
def _kill(claim_id: bytes32, position_id: bytes32, p: positions.Position) -> positions.Position:
    position: positions.Position = p
    position.alive -= 1
    position.survivors = position.survivors ^ claim_id
    self.claims[claim_id].standing |= DEAD
    log ClaimDied(claim_id=claim_id, position=position_id, alive=position.alive)
    return position


@internal
def _credit(claim_id: bytes32, gas_start: uint256):
    """
    @notice 125 % of the work of this call, for when the claim is final.
    """
    gas: uint256 = TX_GAS + BYTE_GAS * len(msg.data) + gas_start - msg.gas + CREDIT_GAS
    amount: uint256 = gas * min(tx.gasprice, MAX_GAS_PRICE) * 5 // 4
    self.work[claim_id][msg.sender] += amount
    log WorkCredited(claim_id=claim_id, worker=msg.sender, amount=amount)
