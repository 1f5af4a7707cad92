"""The sequencer: takes signed orders, matches them, posts what filled to L1 in batches, and claims the states that follow."""
