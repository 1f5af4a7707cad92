# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Token
@notice A dollar with 6 decimals for devnets. Anyone can mint any amount: never deploy it where it could be mistaken for money.
"""

# ---- constants

name: public(constant(String[13])) = "Devnet Dollar"
symbol: public(constant(String[4])) = "dUSD"
decimals: public(constant(uint8)) = 6

# ---- storage

totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])

# ---- events

event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256

event Approval:
    owner: indexed(address)
    spender: indexed(address)
    amount: uint256


# ---- external

@external
def mint(to: address, amount: uint256):
    """
    @notice Make money out of nothing, for whom you like.
    """
    self.totalSupply += amount
    self.balanceOf[to] += amount
    log Transfer(sender=empty(address), receiver=to, amount=amount)


@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    log Approval(owner=msg.sender, spender=spender, amount=amount)
    return True


@external
def transfer(to: address, amount: uint256) -> bool:
    self._move(msg.sender, to, amount)
    return True


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    self.allowance[owner][msg.sender] -= amount
    self._move(owner, to, amount)
    return True


# ---- internal

@internal
def _move(owner: address, to: address, amount: uint256):
    self.balanceOf[owner] -= amount
    self.balanceOf[to] += amount
    log Transfer(sender=owner, receiver=to, amount=amount)
