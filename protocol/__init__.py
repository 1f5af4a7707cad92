"""The rules of Straddle: pure, integer-only, total.

If changing a line could make two honest nodes disagree, the line lives here. Nothing in this package
reads a clock, a file or a socket, draws a random number or computes with floats.
"""
