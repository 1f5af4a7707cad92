"""How operations travel: rows (RLP), frames (DEFLATE), and what L1 keeps of a batch."""
