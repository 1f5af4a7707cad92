"""A request can be cancelled at any moment: at once, and with nothing left behind."""

import gc
import warnings

import trio
import trio.lowlevel

from tests.l1.devchain import Dev


async def test_cancelling_a_request_is_quick_and_clean(dev: Dev) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for place in range(40):
            began = trio.current_time()
            with trio.move_on_after(place * 0.0003):
                await dev.rpc("eth_getBlockByNumber", "latest", False)
            assert trio.current_time() - began < 1
        gc.collect()
        await trio.lowlevel.checkpoint()
    assert [str(item.message) for item in told if item.category is ResourceWarning] == []
    assert await dev.get_number() == 0
