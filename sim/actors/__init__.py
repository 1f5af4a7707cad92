"""Who lives in a simulated world: an oracle, market makers, takers. Pure machines, and one thin runtime for all."""
