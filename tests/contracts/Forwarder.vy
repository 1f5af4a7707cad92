# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A caller that is a contract: passes on what it is given, and takes ether only while it likes to
"""

accepts: public(bool)


@external
@payable
def forward(to: address, data: Bytes[4096]):
    raw_call(to, data, value=msg.value)


@external
def set_accepts(accepts: bool):
    self.accepts = accepts


@external
@payable
def __default__():
    assert self.accepts, "forwarder: no ether"
