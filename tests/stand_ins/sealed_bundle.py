"""A bundle of files that are no graphs, sealed as its author would; for tests that load none."""

import json
import zipfile
from pathlib import Path
from typing import Any

from tests.stand_ins.sphere import sphere
from voxface.runtime.bundle.manifest import MANIFEST, Manifest, digest

FILES = {
    "encoder.onnx": b"encoder graph",
    "face.onnx": b"face graph",
    "mesh.onnx": b"mesh graph",
    "morphable.npz": sphere().to_bytes(),
}
HEARD = {"log_mel": {"dtype": "float32", "shape": ["B", 64, "T"]}}
ABOUT: dict[str, Any] = {
    "name": "small",
    "front_end": {},
    "vad": {},
    "graphs": {
        name: {"file": f"{name}.onnx", "inputs": HEARD if name == "encoder" else {}, "outputs": {}}
        for name in ("encoder", "face", "mesh")
    },
    "morphable_model": {"file": "morphable.npz"},
}


SMALL = Manifest.from_json(ABOUT)
SEALED = SMALL.sealed(FILES).to_json()


def as_zip(path: Path, manifest: dict[str, Any], files: dict[str, bytes] = FILES) -> Path:
    """A zip with this manifest, word for word: what an attacker or a fault would write."""
    with zipfile.ZipFile(path, "w") as z:
        z.writestr(MANIFEST, json.dumps(manifest))
        for name, data in files.items():
            z.writestr(name, data)
    return path


def resealed(**changes: Any) -> dict[str, Any]:
    manifest = {**SEALED, **changes}
    return {**manifest, "sha256": digest(manifest)}
