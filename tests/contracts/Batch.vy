# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Many calls in one transaction, which pays its base and its bytes once
"""


@external
def run(to: address, calls: DynArray[Bytes[4096], 16]):
    for data: Bytes[4096] in calls:
        raw_call(to, data)
