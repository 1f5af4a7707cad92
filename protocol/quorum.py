"""A quorum of the oracles: what MARK and SETTLE ask for. Twin: contracts/lib/quorum.vy."""

from protocol.codec.frames import CHUNK_SIGNATURES, compute_chunk_hashes, compute_signature_chunks
from protocol.codes import Code
from protocol.fixed_point import div_down
from protocol.machine import Preimages
from protocol.rules import Rules
from protocol.signing import get_signature
from protocol.types import Header


def get_quorum_inputs(h: Header, pre: Preimages) -> tuple[list[bytes], bytes, bytes]:
    """Chunk hashes, and the two chunks that the quorum's signatures can be in: that of the first signature and the one after it."""
    chunks = [*compute_signature_chunks(pre.signatures), b"", b""]
    at = min(div_down(h.signature, CHUNK_SIGNATURES), len(chunks) - 2)
    return compute_chunk_hashes(pre.signatures), chunks[at], chunks[at + 1]


def check_quorum(h: Header, pre: Preimages, digest: bytes, rules: Rules) -> Code:
    """Signers ascend in the oracles' list, so that they are distinct. `h` is the header before the row."""
    last = -1
    for number in range(rules.params.quorum):
        signer = rules.kernel.get_signer(digest, get_signature(pre.signatures, h.signature + number))
        if signer == 0 or signer not in rules.oracles or rules.oracles.index(signer) <= last:
            return Code.QUORUM
        last = rules.oracles.index(signer)
    return Code.OK
