"""The protocol of `/v1/stream`, version 1: what a client may send and what the server answers. docs/serve.md describes it."""
