# pragma version ~=0.4.3
"""
@title Reading one row
@dev Twin of protocol/codec/rows.py: a canonical RLP list of unsigned integers. Total: a row that is broken ends the rows.
"""

MAX_ROWS: constant(uint256) = 8192
MAX_PADDED: constant(uint256) = 8224  # a word may be read at the last byte
MAX_ITEMS: constant(uint256) = 128
MAX_ITEM_BYTES: constant(uint256) = 32

# RLP's first bytes (Yellow Paper, appendix B)
STRING: constant(uint256) = 128
LIST: constant(uint256) = 192
LIST_8: constant(uint256) = 248
LIST_16: constant(uint256) = 249
SHORT: constant(uint256) = 55

@internal
@pure
def _decode_head(head: uint256) -> (uint256, uint256):
    """
    @notice Bytes of the list header that `head` starts with, and of its items; zero bytes of header where it is not a minimal one.
    """
    first: uint256 = head >> 248
    if first >= LIST and first < LIST_8:
        return 1, first - LIST
    if first == LIST_8:
        size: uint256 = (head >> 240) & 255
        if size > SHORT:
            return 2, size
    elif first == LIST_16:
        size: uint256 = (head >> 232) & 65535
        if size > 255:
            return 3, size
    return 0, 0

@internal
@pure
def _decode_row(rows: Bytes[MAX_ROWS], offset: uint256) -> (bool, DynArray[uint256, MAX_ITEMS], uint256):
    """
    @notice The items of the row at `offset` and where the next row starts; (False, [], the end of the rows) for a broken one.
    """
    size: uint256 = len(rows)
    items: DynArray[uint256, MAX_ITEMS] = []
    if offset >= size:
        return False, [], size
    padded: Bytes[MAX_PADDED] = concat(rows, empty(bytes32))
    header: uint256 = 0
    payload: uint256 = 0
    header, payload = self._decode_head(convert(extract32(padded, offset), uint256))
    position: uint256 = offset + header
    end: uint256 = position + payload
    if header == 0 or end > size:
        return False, [], size
    for _i: uint256 in range(MAX_ITEMS):
        if position == end:
            break
        value: uint256 = convert(extract32(padded, position), uint256) >> 248
        position += 1
        if value >= STRING:
            length: uint256 = value - STRING
            start: uint256 = position
            position += length
            if length > MAX_ITEM_BYTES or position > end:
                return False, [], size
            value = 0
            if length > 0:
                value = convert(extract32(padded, start), uint256) >> (256 - 8 * length)
                if value < STRING or value >> (8 * length - 8) == 0:
                    return False, [], size
        elif value == 0:
            return False, [], size
        items.append(value)
    if position != end:  # more items than a row may have
        return False, [], size
    return True, items, end
