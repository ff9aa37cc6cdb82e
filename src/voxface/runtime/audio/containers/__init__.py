"""Containers of sound: what a file's own headers say is in it, so that a decoder is given exactly that.

A length in a header is a bound, not the truth: writers that are killed, pipes, tags and joined files all make it wrong. Each
module walks one family of containers and gives the `Part`s to decode. Nothing here decodes, and nothing is allocated because
a header says so.
"""
