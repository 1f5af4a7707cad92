# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A payee that calls back while it is paid
"""

target: address
data: Bytes[4096]
took: public(uint256)  # how many of its calls from inside were taken
refused: public(uint256)


@external
@payable
def forward(to: address, data: Bytes[4096]):
    raw_call(to, data, value=msg.value)


@external
def set_attack(target: address, data: Bytes[4096]):
    self.target = target
    self.data = data


@external
@payable
def __default__():
    if raw_call(self.target, self.data, revert_on_failure=False):
        self.took += 1
    else:
        self.refused += 1
