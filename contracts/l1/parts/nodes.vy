# pragma version 0.4.3
"""
@title Nodes of a history commitment
"""

NODES: constant(uint256) = 16  # of a reveal
LEVELS: constant(uint256) = 4  # of a reveal
MAX_HEIGHT: constant(uint256) = 28


@internal
@pure
def _fold(nodes: DynArray[bytes32, NODES]) -> bytes32:
    """
    @notice The node four levels above 16 nodes.
    """
    assert len(nodes) == NODES, "claims: wrong number of nodes"
    level: bytes32[8] = empty(bytes32[8])
    for i: uint256 in range(8):
        level[i] = keccak256(concat(nodes[2 * i], nodes[2 * i + 1]))
    for i: uint256 in range(4):
        level[i] = keccak256(concat(level[2 * i], level[2 * i + 1]))
    left: bytes32 = keccak256(concat(level[0], level[1]))
    return keccak256(concat(left, keccak256(concat(level[2], level[3]))))


@internal
@pure
def _climb(leaf: bytes32, index: uint256, siblings: DynArray[bytes32, MAX_HEIGHT]) -> bytes32:
    """
    @notice The root above a leaf, siblings bottom first.
    """
    node: bytes32 = leaf
    place: uint256 = index
    for sibling: bytes32 in siblings:
        if place & 1 == 0:
            node = keccak256(concat(node, sibling))
        else:
            node = keccak256(concat(sibling, node))
        place >>= 1
    return node
