# pragma version ~=0.4.3
"""
@title A quorum of the oracles: what MARK and SETTLE ask for
@dev Twin of protocol/quorum.py.
"""

from . import codes
from . import signatures
from . import types

MAX_ORACLES: constant(uint256) = 8

@internal
@pure
def _get_place(signer: uint256, oracles: DynArray[address, 8]) -> uint256:
    """
    @notice 1 for the first oracle, 0 for anyone else.
    """
    place: uint256 = 0
    for oracle: address in oracles:
        place += 1
        if signer != 0 and convert(oracle, uint256) == signer:
            return place
    return 0

@internal
@view
def _check(
    header: types.Header,
    digest: bytes32,
    chunk_hashes: DynArray[bytes32, 32],
    chunk: Bytes[2080],
    next_chunk: Bytes[2080],
    quorum: uint256,
    oracles: DynArray[address, 8],
) -> uint256:
    """
    @notice Signers ascend in the oracles' list, so that they are distinct.
    @param header before the row
    @param chunk that of the first signature; `next_chunk` is the one after it
    """
    last: uint256 = 0
    for i: uint256 in range(quorum, bound=MAX_ORACLES):
        index: uint256 = header.signature + i
        signer: uint256 = 0
        if index >> signatures.CHUNK_BITS == header.signature >> signatures.CHUNK_BITS:
            signer = signatures._signer(digest, chunk_hashes, chunk, index, header.signatures)
        else:
            signer = signatures._signer(digest, chunk_hashes, next_chunk, index, header.signatures)
        place: uint256 = self._get_place(signer, oracles)
        if place <= last:
            return codes.QUORUM
        last = place
    return codes.OK
