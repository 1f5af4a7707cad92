"""The same manners on py-evm: slow, but with the true price of a transaction, since nothing stays warm between two of them."""

from typing import Any

from eth_tester import PyEVMBackend
from eth_tester.exceptions import TransactionFailed

from sim.evm import Evm, RawLog, Reverted

BASEFEE_WEI = 10**9
GENESIS_S = 1_700_000_000  # fixed, so that the same run costs the same to the last unit


def to_bytes(address: str) -> bytes:
    return bytes.fromhex(address[2:])


class PyEvm(Evm):
    """For gas snapshots. Accounts are the backend's, so there are ten; a transaction pays the base fee at least."""

    def __init__(self, basefee_wei: int = BASEFEE_WEI) -> None:
        """`basefee_wei` is the first block's; it falls by an eighth a block while the blocks are nearly empty."""
        parameters = PyEVMBackend.generate_genesis_params({"gas_limit": 1 << 26, "timestamp": GENESIS_S})
        parameters["base_fee_per_gas"] = basefee_wei
        self._backend = PyEVMBackend(genesis_parameters=parameters)
        latest = self._backend.get_block_by_number("latest")
        super().__init__(timestamp=latest["timestamp"] + 1)

    def _set_block(self) -> None:
        if self.number > 1:  # the first block is there
            self._backend.time_travel(self.timestamp + 1)  # it mines a block one second before what it is told

    def create_account(self, wealth_wei: int = 0) -> str:
        self._accounts += 1
        return "0x" + bytes(self._backend.get_accounts()[self._accounts - 1]).hex()

    def get_balance(self, address: str) -> int:
        return int(self._backend.get_balance(to_bytes(address)))

    def get_nonce(self, address: str) -> int:
        return int(self._backend.get_nonce(to_bytes(address)))

    def get_code(self, address: str) -> bytes:
        return bytes(self._backend.get_code(to_bytes(address)))

    def _pin_time(self) -> None:
        """The next block comes a second after the last one; left alone, the backend would look at the wall."""
        chain = self._backend.chain
        chain.header = chain.header.copy(timestamp=self._backend.get_block_by_number("latest")["timestamp"] + 1)

    def _mine(self, transaction: dict[str, Any]) -> dict[str, Any]:
        self._pin_time()
        hash_ = self._backend.send_transaction(transaction)
        self._backend.mine_blocks(1)
        self.timestamp = self._backend.get_block_by_number("latest")["timestamp"]
        receipt: dict[str, Any] = self._backend.get_transaction_receipt(hash_)
        if receipt["status"] != 1:
            raise Reverted("failed")
        return receipt

    def get_basefee(self) -> int:
        """Of the next block, wei."""
        return int(self._backend.chain.header.base_fee_per_gas)

    def _build(self, sender: str, data: bytes, value: int, gas: int, gas_price: int) -> dict[str, Any]:
        return {"from": to_bytes(sender), "data": data, "value": value, "gas": gas, "gas_price": max(gas_price, self.get_basefee())}

    def _create(self, deployer: str, code: bytes, value: int) -> str:
        receipt = self._mine(self._build(deployer, code, value, 1 << 24, 0))
        return "0x" + bytes(receipt["contract_address"]).hex()

    def _send(self, sender: str, to: str, data: bytes, value: int, gas: int, gas_price: int) -> tuple[bytes, int, list[RawLog]]:
        transaction = self._build(sender, data, value, gas, gas_price) | {"to": to_bytes(to)}
        self._pin_time()
        try:
            answer = self._backend.call(transaction, "pending")
        except TransactionFailed as error:
            raise Reverted(str(error)) from error
        receipt = self._mine(transaction)
        logs = [RawLog("0x" + bytes(log["address"]).hex(), tuple(map(bytes, log["topics"])), bytes(log["data"])) for log in receipt["logs"]]
        return bytes(answer), int(receipt["gas_used"]), logs

    def _query(self, sender: str, to: str, data: bytes, gas: int) -> bytes:
        payer = bytes(self._backend.get_accounts()[9])  # even a view must be affordable here; none of ours looks at its caller
        call = {"from": payer, "to": to_bytes(to), "data": data, "value": 0, "gas": gas, "gas_price": 2 * self.get_basefee()}
        try:
            return bytes(self._backend.call(call, "latest"))
        except TransactionFailed as error:
            raise Reverted(str(error)) from error
