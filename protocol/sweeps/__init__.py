"""What a SCAN step does to the account that it visits: one module a mode, or two modes that tally and pay.

A visit is a function of the account and of what the scan carries along, and changes nothing else.
"""
