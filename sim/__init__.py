"""A whole world on one machine: the chain, oracle, traders, villains, faults."""
