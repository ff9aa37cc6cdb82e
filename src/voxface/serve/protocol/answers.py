"""Events of a session as the messages that a client gets."""

import json
from typing import Any

from voxface.runtime.face.png import png
from voxface.runtime.live.events import Event, FaceEstimated
from voxface.runtime.live.sinks.json_lines import event_json
from voxface.serve.protocol.binary import BinaryMessage, picture_message
from voxface.serve.protocol.hello import Want
from voxface.serve.state.outbox import Answer, Part

FIELDS: dict[Want, str] = {"embedding": "embedding", "coefficients": "coefficients", "measurements": "measurements_mm"}


def answer(event: Event, number: int, wants: frozenset[Want], latency_ms: dict[str, float] | None = None) -> Answer:
    """The messages of an event: its JSON, that of `voxface live --json-lines` with a `number`, and what a client
    wants in binary beside a face."""
    document = event_json(event, latency_ms)
    if not isinstance(event, FaceEstimated):
        return Answer(number, (as_text({**document, "number": number}),))
    for want, field in FIELDS.items():
        if want not in wants:
            document.pop(field, None)
    binary = binary_parts(event, wants)
    document |= {"number": number, "binary": [name for name, _ in binary]}
    return Answer(number, (as_text(document), *(data for _, data in binary)), replaceable=True)


def binary_parts(event: FaceEstimated, wants: frozenset[Want]) -> list[tuple[str, bytes]]:
    """The binary messages of a face, each with its name, in the order in which they are sent."""
    estimate, position = event.estimate, event.position
    found: list[tuple[str, bytes]] = []
    if "vertices" in wants:
        found.append(("vertices", BinaryMessage("vertices", position, estimate.vertices).pack()))
    if "uncertainty" in wants and (posterior := estimate.posterior) is not None:
        spread = posterior.vertex_sd_mm[:, None]
        found.append(("uncertainty", BinaryMessage("uncertainty", position, spread).pack()))
    if "picture" in wants:
        found.append(("picture", picture_message(png(estimate.image, estimate.mark), position)))
    return found


def as_text(document: dict[str, Any]) -> Part:
    """A JSON document as a text message."""
    return json.dumps(document, allow_nan=False, separators=(",", ":"))
