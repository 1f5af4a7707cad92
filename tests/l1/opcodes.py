"""What a contract's code can run: for questions like whether it can be replaced."""

STOP, JUMP, JUMPDEST, PUSH1, PUSH32, RETURN, REVERT, INVALID, SELFDESTRUCT = 0x00, 0x56, 0x5B, 0x60, 0x7F, 0xF3, 0xFD, 0xFE, 0xFF
ENDS = {STOP, JUMP, RETURN, REVERT, INVALID, SELFDESTRUCT}


def find_reachable(code: bytes) -> set[int]:
    """All opcodes that any run may come to: from the start or a JUMPDEST on, until a run cannot fall through. Data behind the code, which
    happens to have such a byte, is passed over unless it looks like a place to jump to."""
    found, at, is_reached = set(), 0, True
    while at < len(code):
        opcode = code[at]
        is_reached |= opcode == JUMPDEST
        if is_reached:
            found.add(opcode)
        is_reached &= opcode not in ENDS
        at += 1 + (opcode - PUSH1 + 1 if PUSH1 <= opcode <= PUSH32 else 0)
    return found
