"""Whether what commands have written is whole: findings about `out` in a folder, whenever the command was ended."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import VoxfaceError
from voxface.runtime.live.recording import Recording
from voxface.runtime.profile.report import Report


def _opens(read: Callable[[], object], what: str) -> list[str]:
    try:
        read()
    except VoxfaceError as error:
        return [f"{what}: {error}"]
    return []


def check_bundle(name: str) -> Callable[[Path], list[str]]:
    """A bundle opens."""
    return lambda folder: _opens(lambda: Bundle.open(folder / name), "the bundle")


def check_run(folder: Path) -> list[str]:
    """Every file of `voxface run` is whole, and the report names what is there."""
    found = []
    for path in (folder / "out").rglob("*"):
        if path.is_dir() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        data = path.read_bytes()
        whole = {
            ".png": data.endswith(b"IEND\xaeB`\x82"),
            ".glb": data[:4] == b"glTF" and int.from_bytes(data[8:12], "little") == len(data),
            ".html": data.count(b"<article>") == data.count(b"</article>") > 0 and data.rstrip().endswith(b">"),
        }.get(path.suffix, bool(data))
        if path.suffix == ".json":
            for clip in json.loads(data)["clips"]:
                found += [
                    f"{clip[key]} is in the report only"
                    for key in ("face", "mesh")
                    if not (folder / clip[key]).exists()
                ]
        if not whole:
            found.append(f"{path.name} is half-written")
    return found


def check_recording(folder: Path) -> list[str]:
    """A recording is read to its end."""
    place = folder / "out"
    if not (place / "recording.json").exists():
        there = [path.name for path in place.rglob("*") if path.is_file() and not path.name.startswith(".")]
        return [f"{there} without recording.json"] if there else []

    def read() -> None:
        recording = Recording(place)
        list(recording.items())
        list(recording.events())
        recording.meshes()

    return _opens(read, "the recording")


def check_profile(folder: Path) -> list[str]:
    """A saved profile is read."""
    path = folder / "out.json"
    return _opens(lambda: Report.load(path), "the profile") if path.exists() else []


def check_pairs(folder: Path) -> list[str]:
    """Pairs are there whole, or not at all."""
    from voxface.training.data.pairs import Pairs

    return _opens(lambda: Pairs.load(folder / "out"), "the pairs") if (folder / "out").exists() else []


def check_voices(folder: Path) -> list[str]:
    """Rendered voices are there whole, or not at all."""
    from voxface.training.voices.renderings import Renderings

    return _opens(lambda: Renderings.load(folder / "out"), "the voices") if (folder / "out").exists() else []


def check_faces(folder: Path) -> list[str]:
    """A set of faces is there whole, or not at all."""
    place = folder / "out"
    if not place.exists():
        return []
    manifest = json.loads((place / "manifest.json").read_text())
    digest = hashlib.sha256((place / "faces.npz").read_bytes()).hexdigest()
    missing = [name for name in manifest["faces"] if not (place / name).is_file()]
    return [f"{missing} are missing"] if missing or manifest["sha256"]["faces.npz"] != digest else []


def check_training(folder: Path) -> list[str]:
    """The newest checkpoint and the networks of a training are read."""
    from voxface.training.engine.checkpoint import newest_checkpoint, read_state, read_tensors
    from voxface.training.engine.trained_networks import describe, load_network

    place = folder / "out"

    def read() -> None:
        last = newest_checkpoint(place / "checkpoints")
        if last is not None:
            state = read_state(last)
            for name in state["files"]:
                read_tensors(last, state, name.removesuffix(".safetensors"))
        if (place / "checkpoint.json").exists():
            for name in describe(place)["networks"]:
                load_network(place, name)

    return _opens(read, "the training")
