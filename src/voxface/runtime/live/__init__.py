"""From a live voice to a moving face and mesh.

In the middle stand state machines without threads, devices or a clock (`session` and what it is made of: feed samples, get
events); at the edge threads, queues, devices and files (`sources`, `microphone`, `block`, `runner`, `sinks`). Whatever
waits is handed a clock, so a day passes in a test within seconds.

This room imports sounddevice inside functions only, and nothing that draws: windows belong to the command line.
"""
