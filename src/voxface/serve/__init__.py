"""The server: many voices at once by WebSocket, whole clips by HTTP, and the load generator that measures it.

State machines with a clock handed in (`state`) and the protocol (`protocol`) know no socket and no thread. Threads begin in
`lane.py` and `clip_desk.py`, sockets in `server.py`. The room imports `runtime` alone, and nothing but the command line imports
it. FastAPI, uvicorn, websockets and prometheus_client come with the extra `serve`, and are imported where they are used.
"""
