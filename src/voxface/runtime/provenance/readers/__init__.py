"""Readers of marks, one file a format: bytes in, marks out.

What they read comes from elsewhere: sizes are bounded, nothing that a file names is fetched, and damage raises what
`runtime/files/damage.py` knows.
"""
