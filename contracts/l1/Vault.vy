# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Vault
@notice Holds the collateral. Takes deposits as forced messages, and pays withdrawals that a final state has in its outbox.
"""

# ---- interfaces

interface ERC20:
    def transfer(to: address, amount: uint256) -> bool: nonpayable
    def transferFrom(owner: address, to: address, amount: uint256) -> bool: nonpayable

interface Inbox:
    def VAULT() -> address: view
    def send_deposit(rows: Bytes[1024]) -> uint256: nonpayable

interface Claims:
    def INBOX() -> address: view
    def get_final_root(claim_id: bytes32) -> bytes32: view

# ---- constants

MIN_DEPOSIT: constant(uint256) = 10 * 10**6  # 10 USD
MAX_HELD: constant(uint256) = 2**59  # half of what an L2 account can hold: no deposit fails there for its size
DEPOSIT_KIND: constant(uint256) = 1
OUTBOX_PLACE: constant(uint256) = 3
MAX_PROOF: constant(uint256) = 35

# ---- immutables

TOKEN: public(immutable(address))
INBOX: public(immutable(address))
CLAIMS: public(immutable(address))
MAX_ACCOUNTS: public(immutable(uint256))  # the places above are the backstop pool's
OUTBOX_DEPTH: public(immutable(uint256))

# ---- storage

account_count: public(uint256)
held: public(uint256)  # deposited and not yet paid out, 1e-6 USD
owners: public(HashMap[uint256, address])
is_paid: public(HashMap[uint256, bool])  # by outbox index: it names one withdrawal for ever, whichever claim proves it
_places: HashMap[address, uint256]  # account index + 1

# ---- events

event AccountOpened:
    index: indexed(uint256)
    owner: indexed(address)

event Deposited:
    index: indexed(uint256)
    owner: indexed(address)
    amount: uint256
    message: uint256

event Withdrawn:
    index: indexed(uint256)
    owner: indexed(address)
    amount: uint256
    claim_id: bytes32


# ---- constructor

@deploy
def __init__(token: address, inbox: address, claims: address, max_accounts: uint256, outbox_depth: uint256):
    assert staticcall Inbox(inbox).VAULT() == self, "vault: the inbox expects another vault"
    assert staticcall Claims(claims).INBOX() == inbox, "vault: the claims read another inbox"
    assert token.is_contract, "vault: no token"
    assert outbox_depth <= MAX_PROOF - 3, "vault: outbox too deep"
    TOKEN = token
    INBOX = inbox
    CLAIMS = claims
    MAX_ACCOUNTS = max_accounts
    OUTBOX_DEPTH = outbox_depth


# ---- external

@external
@nonreentrant
def deposit(amount: uint256) -> uint256:
    """
    @notice Credit the sender's account on L2; the first deposit gives it the next account index.
    @param amount In 1e-6 USD; the token must be approved for it.
    @return The account's index.
    """
    # CHECK
    assert amount >= MIN_DEPOSIT, "vault: below the minimum deposit"
    assert amount < MAX_HELD, "vault: full"  # first, so that the sum cannot wrap
    assert self.held + amount < MAX_HELD, "vault: full"
    # WRITE
    index: uint256 = self._open(msg.sender)
    self.held += amount
    assert extcall ERC20(TOKEN).transferFrom(msg.sender, self, amount, default_return_value=True), "vault: the token refuses"
    message: uint256 = extcall Inbox(INBOX).send_deposit(self._encode_row(index, msg.sender, amount))
    log Deposited(index=index, owner=msg.sender, amount=amount, message=message)
    return index


@external
@nonreentrant
def withdraw(claim_id: bytes32, index: uint256, owner: address, amount: uint256, proof: DynArray[bytes32, MAX_PROOF]):
    """
    @notice Pay an outbox entry to its owner, once. Anyone may call it.
    @param claim_id A final claim whose state has the entry.
    @param proof Bottom first: the siblings of the entry below `rest`, then the globals' leaf.
    """
    # READ
    root: bytes32 = staticcall Claims(CLAIMS).get_final_root(claim_id)
    # CHECK
    assert not self.is_paid[index], "vault: paid already"
    assert index >> OUTBOX_DEPTH == 0, "vault: no such place"
    assert len(proof) == OUTBOX_DEPTH + 3, "vault: wrong length of proof"
    node: bytes32 = keccak256(abi_encode(index, owner, amount))
    place: uint256 = OUTBOX_PLACE << OUTBOX_DEPTH | index
    for level: uint256 in range(OUTBOX_DEPTH + 2, bound=MAX_PROOF):
        if (place >> level) & 1 == 0:
            node = keccak256(concat(node, proof[level]))
        else:
            node = keccak256(concat(proof[level], node))
    assert keccak256(concat(proof[OUTBOX_DEPTH + 2], node)) == root, "vault: not in that state"
    # WRITE
    self.is_paid[index] = True
    self.held -= amount
    assert extcall ERC20(TOKEN).transfer(owner, amount, default_return_value=True), "vault: the token refuses"
    log Withdrawn(index=index, owner=owner, amount=amount, claim_id=claim_id)


@external
@view
def get_account(owner: address) -> (bool, uint256):
    """
    @notice Whether the owner has an account, and its index.
    """
    place: uint256 = self._places[owner]
    if place == 0:
        return False, 0
    return True, place - 1


# ---- internal

@internal
def _open(owner: address) -> uint256:
    place: uint256 = self._places[owner]
    if place != 0:
        return place - 1
    index: uint256 = self.account_count
    assert index < MAX_ACCOUNTS, "vault: no account is left"
    self.account_count = index + 1
    self.owners[index] = owner
    self._places[owner] = index + 1
    log AccountOpened(index=index, owner=owner)
    return index


@internal
@pure
def _encode_row(index: uint256, owner: address, amount: uint256) -> Bytes[1024]:
    """
    @notice The canonical RLP row [kind, index, owner, amount]; at most 1 + 4 + 21 + 9 bytes, so its length fits the short form.
    """
    items: Bytes[132] = concat(
        self._encode_item(DEPOSIT_KIND),
        self._encode_item(index),
        self._encode_item(convert(owner, uint256)),
        self._encode_item(amount),
    )
    return concat(self._encode_byte(192 + len(items)), items)


@internal
@pure
def _encode_item(item: uint256) -> Bytes[33]:
    if item == 0:
        return b"\x80"
    if item < 128:
        return self._encode_byte(item)
    size: uint256 = 0
    for i: uint256 in range(32):
        if item >> (8 * i) == 0:
            break
        size += 1
    return concat(self._encode_byte(128 + size), slice(convert(item, bytes32), 32 - size, size))


@internal
@pure
def _encode_byte(item: uint256) -> Bytes[1]:
    return slice(convert(item, bytes32), 31, 1)
