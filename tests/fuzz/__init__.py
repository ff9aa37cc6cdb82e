"""Hostile and unlucky input by the thousand: no traceback, no hang, bounded memory, exit codes of the contract, nothing lost.

`python -m tests.fuzz` (`make fuzz`) runs every kind at full length; `test_fuzz.py` a few of each. Each kind is a module here:
it makes its inputs from a seed, so that a finding can be made again from the two numbers it is reported with.
"""
