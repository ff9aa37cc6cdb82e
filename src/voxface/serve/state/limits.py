"""The limits of a server: what one client may take, and what all of them together may."""

from dataclasses import dataclass, fields

from voxface.runtime.errors import UsageError

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Limits; times are in seconds.

    Attributes:
        sessions: the most live sessions at once, those that wait for their client to come back included.
        sessions_of_address: the most of them from one address.
        load: the share of the time of the inference threads that live sessions may be predicted to take; a session that would
            exceed it is refused. More than 1 is more than they can do.
        resume_load: the share of it up to which a session whose client comes back may go on, where others came meanwhile.
        sessions_of_replica: the most live sessions of one replica of a cluster, those that wait for their client included.
        replica_idle_s: how long a replica for live sessions may have none, before it goes away.
        late_s: the lateness of updates (95th percentile of the last seconds) from which on new sessions are refused.
        idle_s: how long a client may send nothing.
        ping_s: how often a client is pinged, so that nothing in between forgets the connection.
        resume_s: how long a session waits for a client that was cut off.
        hello_s: how long a client may take for its first message.
        drain_s: how long sessions may go on after SIGTERM.
        waiting_s: the most sound of a session that waits for inference; beyond it the oldest is dropped.
        waiting_bytes: the most bytes of it.
        session_s: the longest that a session may last.
        message_bytes: the largest message of a WebSocket.
        messages_per_s: the most messages that a client may send, over ten seconds.
        bytes_per_s: the most bytes that a client may send, over ten seconds.
        garbage: the most messages of a session that are no sound, before it is ended.
        body_bytes: the largest body of a request.
        uploads: the most bodies that come in at once; one more is refused.
        clip_s: the longest clip.
        clips_waiting: the most clips that wait for their turn; one more is refused.
        clip_wait_s: how long a clip may take, waiting included.
        header_s: how long a client may take for the head of a request.
        body_s: how long it may take for the body.
        connections: the most connections at once.
        connections_per_s: the most new connections of one address, over ten seconds.
        updates_per_s: the most updates that a client may ask for.
        window_s: the longest window that a client may ask for.
        outbox_bytes: the most bytes of answers that are kept for a client that reads slowly or was cut off.
    """

    sessions: int = 256
    sessions_of_address: int = 256
    load: float = 0.8
    resume_load: float = 0.9
    sessions_of_replica: int = 256
    replica_idle_s: float = 60.0
    late_s: float = 0.1
    idle_s: float = 30.0
    ping_s: float = 15.0
    resume_s: float = 30.0
    hello_s: float = 10.0
    drain_s: float = 5.0
    waiting_s: float = 10.0
    waiting_bytes: int = 4 * MIB
    session_s: float = 24 * 3600.0
    message_bytes: int = MIB
    messages_per_s: float = 200.0
    bytes_per_s: float = 4.0 * MIB
    garbage: int = 20
    body_bytes: int = 64 * MIB
    uploads: int = 16
    clip_s: float = 600.0
    clips_waiting: int = 8
    clip_wait_s: float = 120.0
    header_s: float = 10.0
    body_s: float = 60.0
    connections: int = 1024
    connections_per_s: float = 100.0
    updates_per_s: float = 10.0
    window_s: float = 16.0
    outbox_bytes: int = 2 * MIB

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name in ("resume_s", "drain_s") else 1e-9
            if not least <= value < float("inf"):  # false of NaN too
                bound = "more than 0" if least else "at least 0"
                raise UsageError(f"--limit {field.name.replace('_', '-')}={value:g}: {bound}, and finite")
