"""What it costs to say that a face is synthetic: bytes in each format, and how much longer a live session's picture takes. And
how large a mesh is that can be animated.

    python -m benchmarks.marks

The face is that of the female sample. Of the times, with and without the mark take turns; the median of many is told.
"""

import json
import statistics
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.options import parser
from benchmarks.record import record
from voxface.runtime.face.glb import glb
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.morph_targets import morph_targets
from voxface.runtime.face.obj import obj
from voxface.runtime.face.ply import ply
from voxface.runtime.face.png import png
from voxface.runtime.live.events import FaceEstimated
from voxface.runtime.live.sinks.json_lines import event_json
from voxface.runtime.provenance.comment import comment_lines
from voxface.runtime.provenance.mark import KEY
from voxface.runtime.provenance.png_text import mark_chunks
from voxface.runtime.voice_to_face import VoiceToFace

CLIP: Final = Path(__file__).parent.parent / "examples" / "sample_female.flac"
ROUNDS: Final = 400


def main() -> None:
    """Runs the benchmark and records it."""
    parser(__doc__).parse_args()
    with VoiceToFace() as voice_to_face:
        _, estimate = voice_to_face.estimate_file(CLIP)
        model, mark = voice_to_face.morphable, estimate.mark
    vertices, triangles, colours = estimate.vertices, model.triangles, model.albedo
    normals = vertex_normals(vertices, triangles)
    mesh = glb(vertices, normals, colours, triangles, mark)
    targets = morph_targets(model)
    comments = "".join(f"comment {line}\n" for line in comment_lines(mark))
    event = event_json(FaceEstimated(estimate.end, 1, None, False, estimate))
    files: dict[str, tuple[int, int]] = {
        "PNG": (len(png(estimate.image, mark)), len(mark_chunks(mark))),
        "GLB": (len(mesh), _length(_document(mesh)) - _length(_without_mark(_document(mesh)))),
        "OBJ": (len(obj(vertices, normals, triangles, mark)), len(comments.replace("comment", "#"))),
        "PLY": (len(ply(vertices, normals, colours, triangles, mark)), len(comments)),
        "JSON": (_length(event), _length(event) - _length({key: event[key] for key in event if key != KEY})),
    }
    sides: dict[str, list[int]] = {"with": [], "without": []}
    for _ in range(ROUNDS):
        for side, given in (("with", mark), ("without", None)):
            began = time.perf_counter_ns()
            png(estimate.image, given)
            sides[side].append(time.perf_counter_ns() - began)
    record(
        "marks",
        "python -m benchmarks.marks",
        {
            "bytes": {name: {"file": size, "mark": of_mark} for name, (size, of_mark) in files.items()},
            "png_us": {side: statistics.median(taken) / 1e3 for side, taken in sides.items()},
            "rounds": ROUNDS,
            "morph_targets": {
                "bytes": len(glb(vertices, normals, colours, triangles, mark, targets)),
                "bytes_without": len(mesh),
                "largest_mm": {target.name: float(abs(target.displacements).max()) for target in targets},
            },
        },
        ("numpy",),
    )


def _document(mesh: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(mesh[20 : 20 + int.from_bytes(mesh[12:16], "little")])
    return found


def _without_mark(document: dict[str, Any]) -> dict[str, Any]:
    """The document of a mesh as it would be without a mark."""
    bare = {key: value for key, value in document.items() if key not in ("extensions", "extensionsUsed")}
    bare["asset"] = {"version": "2.0", "generator": "voxface"}
    for kind in ("scenes", "meshes"):
        bare[kind] = [{key: value for key, value in part.items() if key != "extras"} for part in bare[kind]]
    return bare


def _length(document: dict[str, Any]) -> int:
    return len(json.dumps(document, separators=(",", ":")))


if __name__ == "__main__":
    main()
