"""A recorded crash with hundreds of accounts in it: who is liquidated when, by whom, and who pays."""
