# pragma version 0.4.3
"""
@title Wages: what the work for a claim takes, owed for when the claim is final
"""

# ---- constants

MAX_GAS_PRICE: constant(uint256) = 50 * 10**9  # wei; what work is paid for at most
MAX_TIP: constant(uint256) = 2 * 10**9  # wei above the base fee: whoever builds the block pays tips to himself
TX_GAS: constant(uint256) = 21000
BYTE_GAS: constant(uint256) = 4  # of calldata: what a zero costs, else padding would pay
CREDIT_GAS: constant(uint256) = 8000  # what comes after the meter is read
CLAIM_GAS: constant(uint256) = 170000  # of a claim: what comes after the meter is read, its bytes above `BYTE_GAS`, both payouts
MOVED_GAS: constant(uint256) = 156000  # the same of one on a stake that is there already

# ---- storage

work: public(HashMap[bytes32, HashMap[address, uint256]])  # wei by claim and worker
paid: public(HashMap[bytes32, uint256])  # wei out of the pot of a final claim

# ---- events

event WorkCredited:
    claim_id: indexed(bytes32)
    worker: indexed(address)
    amount: uint256

event WorkPaid:
    claim_id: indexed(bytes32)
    worker: indexed(address)
    amount: uint256


# ---- internal

@internal
def _credit(claim_id: bytes32, claimant: address, gas_start: uint256):
    """
    @notice This call's work, to its sender. A stranger is paid at most what it costs, so that taking work from somebody else gains nothing;
        the claimant gets half on top, out of which it pays for the bytes that are not zero.
    """
    amount: uint256 = self._price(gas_start, 0)
    if msg.sender == claimant:
        amount += amount // 2
    self._owe(claim_id, msg.sender, amount)


@internal
def _pay(claim_id: bytes32, pot: uint256) -> uint256:
    """
    @notice What the sender is owed, as far as the pot goes. @return wei, to be sent.
    """
    amount: uint256 = self.work[claim_id][msg.sender]
    assert amount != 0, "claims: no work to pay"
    amount = min(amount, pot - self.paid[claim_id])
    self.work[claim_id][msg.sender] = 0
    self.paid[claim_id] += amount
    log WorkPaid(claim_id=claim_id, worker=msg.sender, amount=amount)
    return amount


@internal
@view
def _price(gas_start: uint256, more: uint256) -> uint256:
    """
    @notice What this call costs, and `more` gas. @return wei
    @dev An account with code may do many calls in one transaction, so it is paid for what the meter shows and no more.
    """
    spent: uint256 = gas_start - msg.gas + more
    if msg.sender == tx.origin and msg.sender.codesize == 0:
        spent += TX_GAS + BYTE_GAS * len(msg.data) + CREDIT_GAS
    return spent * min(min(tx.gasprice, block.basefee + MAX_TIP), MAX_GAS_PRICE)


@internal
def _owe(claim_id: bytes32, worker: address, amount: uint256):
    self.work[claim_id][worker] += amount
    log WorkCredited(claim_id=claim_id, worker=worker, amount=amount)
