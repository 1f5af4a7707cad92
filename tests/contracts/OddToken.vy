# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A token that returns nothing, or false, as it is told
"""

silent: public(bool)
balanceOf: public(HashMap[address, uint256])


@external
def set_silent(silent: bool):
    self.silent = silent


@external
def mint(to: address, amount: uint256):
    self.balanceOf[to] += amount


@external
@raw_return
def transfer(to: address, amount: uint256) -> Bytes[32]:
    return self._answer(msg.sender, to, amount)


@external
@raw_return
def transferFrom(owner: address, to: address, amount: uint256) -> Bytes[32]:
    return self._answer(owner, to, amount)


@internal
def _answer(owner: address, to: address, amount: uint256) -> Bytes[32]:
    if not self.silent:
        return concat(empty(bytes32), b"")
    self.balanceOf[owner] -= amount
    self.balanceOf[to] += amount
    return b""
