"""From a live voice to a moving face and mesh.

The inner part is state machines without threads, devices or a clock: `session` and its parts take samples and return events.
The outer part is threads, queues, devices and files: `sources`, `microphone`, `block`, `runner`, `sinks`. All code that waits
is given a clock, so that a test lets a day pass within seconds.

This room imports sounddevice inside functions only. It draws nothing: windows belong to the command line.
"""
