"""One devnet process a session; each test gets it as it was at the start."""

from collections.abc import AsyncIterator, Iterator

import pytest

from l1.client import Client
from l1.provider import Provider
from tests.l1.devchain import Dev, run_devnet


@pytest.fixture(scope="session")
def devnet_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_devnet(tmp_path_factory.mktemp("devnet") / "log", "--manual") as child:
        yield child.ready["url"]


@pytest.fixture
async def dev(devnet_url: str) -> AsyncIterator[Dev]:
    async with Provider(devnet_url) as provider:
        dev = Dev(devnet_url, provider, Client(provider))
        snapshot = await dev.rpc("evm_snapshot")
        yield dev
        await dev.rpc("evm_setIntervalMining", 0)
        await dev.rpc("devnet_setMinTip", 0)
        assert await dev.rpc("evm_revert", snapshot)
