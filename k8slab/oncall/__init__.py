"""What the person on call asks of a node's rules: why does this packet not arrive, and what has changed?

Everything here asks the model's walk (`model/dump.py`) again and again: with other rules, other interfaces, other
callers. A sentence about what would be different is said only after the packet was walked through rules that are.
"""
