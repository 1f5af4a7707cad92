"""Where a simulated world's prices come from: recorded quotes or a seeded random walk, and the oracle that turns them into marks."""
