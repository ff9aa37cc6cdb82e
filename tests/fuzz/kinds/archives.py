"""Face models, landmarks, whitenings, populations and tables, damaged and odd: `bundle import --face-model`, `--landmarks`,
`--whitening`, `data fit --landmarks`, `--population`, `--faces`.

A command ends within a minute with at most 1,200 MB (of which 360 MB are there before it begins), with one line where it fails,
and reads no other file: what one names outside of itself never comes into its output.
"""

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from tests.fuzz.commands import Commands
from tests.fuzz.damage import damaged, nested_pickle, no_file, odd_pickle, rezipped
from tests.stand_ins import face_model_files as files

FULL, QUICK = 800, 40
NEEDS = ("torch", "h5py", "scipy", "onnx", "safetensors")
MOST_MB, SECONDS = 1200.0, 60.0
_PRELOADED = (
    "torch",
    "h5py",
    "onnx",
    "onnxruntime",
    "voxface.importers.face_models",
    "voxface.importers.retarget",
    "voxface.training.faces.fitted_faces",
    "voxface.training.faces.landmark_files",
    "voxface.training.trainers.joint",
)
_SMALL: Final = files.face(12, 20)
_SECRET: Final = b"4713.25 "  # of a file that models point to
# Formats: name of a file, option --format, writer.
_MODELS: Final[tuple[tuple[str, str, Callable[..., Path]], ...]] = (
    ("flame.npz", "flame", files.write_flame),
    ("flame.pkl", "flame", files.write_flame),
    ("gnm_head.npz", "gnm", files.write_gnm),
    ("bfm.pkl", "bfm2009", files.write_tddfa),
    ("model.mat", "bfm2009", files.write_bfm2009),
    ("model.h5", "bfm2017", files.write_bfm2017),
    ("sfm_shape_3448.bin", "surrey", files.write_surrey),
)
_TARGETS: Final = ("model", "ict", "landmarks", "fit", "population", "faces", "whitening", "hdf5")


def fuzz(count: int, seed: int, folder: Path) -> list[str]:
    """The findings of `count` cases made from `seed`."""
    import torch

    torch.set_num_threads(1)
    good = _Good(folder / "good")
    findings: list[str] = []
    with Commands(folder, _PRELOADED) as commands:
        for case in range(count):
            rng = random.Random(f"{seed} {case}")
            target = rng.choice(_TARGETS)
            place = folder / str(case)
            place.mkdir()
            words, file = getattr(good, target)(place, rng)
            if rng.random() < 0.08:
                odd = no_file(place, file, rng)
                words = [odd if word == file else word for word in words]
            outcome = commands.run(*words, seconds=SECONDS, folder=place)
            problems = outcome.problems(most_mb=MOST_MB, codes=(0, 2, 3, 6) if target == "faces" else (0, 2, 3))
            lines = outcome.stderr.strip().splitlines()
            if outcome.exit_code and len(lines) != 1 and not any("left out" in line for line in lines):
                problems.append(f"{len(lines)} lines: {outcome.stderr[:200]!r}")
            out = place / "out.voxface"
            if out.exists() and _SECRET in b"".join(_members(out)):
                problems.append("the bundle holds another file's numbers")
            findings += [f"{case} ({target}, {file.name}): {problem}" for problem in problems]
    return findings


def _members(path: Path) -> list[bytes]:
    with zipfile.ZipFile(path) as archive:
        return [archive.read(name) for name in archive.namelist()]


class _Good:
    """Sound files of each kind, and commands that read one of them after it was damaged."""

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import save_file

        from voxface.runtime.bundle.bundle import Bundle
        from voxface.training.models import VoiceEncoder

        folder.mkdir()
        self.landmarks_file = files.write_landmarks(folder / "landmarks.txt", _SMALL.landmarks)
        self.models = [(name, kind, write(folder / name, _SMALL).read_bytes()) for name, kind, write in _MODELS]
        self.ict_folder = files.write_ict(folder / "ict", files.face(8, 12))
        self.bundle = Bundle.open()
        save_file(VoiceEncoder().state_dict(), folder / "encoder.safetensors")
        self.encoder = folder / "encoder.safetensors"
        entry = self.bundle.manifest.population
        assert entry is not None
        self.population_bytes = self.bundle.files[entry.file]
        faces = np.random.default_rng(0).normal(scale=20, size=(3, 68, 2)) + 100
        self.marks = faces
        out = io.BytesIO()
        np.savez_compressed(out, landmarks2d=faces)
        self.marks_bytes = out.getvalue()
        (folder / "marks.npz").write_bytes(self.marks_bytes)
        self.marks_file = folder / "marks.npz"
        (folder / "secret.bin").write_bytes(_SECRET * 10_000)
        self.secret = folder / "secret.bin"

    def model(self, place: Path, rng: random.Random) -> tuple[list[object], Path]:
        name, kind, data = rng.choice(self.models)
        file = place / name
        if data.startswith(b"PK"):
            data = spoilt_npz(data, rng)
        elif name.endswith(".pkl") and rng.random() < 0.4:
            data = rng.choice((odd_pickle, nested_pickle))(rng)
        elif rng.random() < 0.95:
            data = damaged(data, rng)
        file.write_bytes(data)
        if kind == "bfm2009":
            deviations = {"mean": np.ones(62), "std": np.ones(62)}
            whitening = pickle.dumps(deviations)
            (place / "param_mean_std_62d_120x120.pkl").write_bytes(
                damaged(whitening, rng) if rng.random() < 0.3 else whitening
            )
        words: list[object] = ["bundle", "import", "--face-model", file, "--landmarks", self.landmarks_file]
        return [*words, *(["--format", kind] if rng.random() < 0.5 else []), "--out", place / "out.voxface"], file

    def ict(self, place: Path, rng: random.Random) -> tuple[list[object], Path]:
        """A folder of which one file is damaged; links stand for the others."""
        names = sorted(path.name for path in self.ict_folder.iterdir())
        chosen = rng.choice(["generic_neutral_mesh.obj", "vertex_indices.json", *names])
        folder = place / "ict"
        folder.mkdir()
        for name in names:
            if name != chosen:
                (folder / name).symlink_to(self.ict_folder / name)
        (folder / chosen).write_bytes(_spoilt_text((self.ict_folder / chosen).read_bytes(), rng))
        (folder / "._identity000.obj").write_bytes(bytes.fromhex("0005160700020000") + bytes(100))
        return ["bundle", "import", "--face-model", folder, "--out", place / "out.voxface"], folder / chosen

    def landmarks(self, place: Path, rng: random.Random) -> tuple[list[object], Path]:
        numbers = _SMALL.landmarks.tolist()
        text = rng.choice(
            (
                json.dumps(numbers),
                "\n".join(map(str, numbers)),
                "".join(f"{v} 0.8 {v + 1} 0.15 0 0.05\n" for v in numbers),
                "[landmark_mappings]\n" + "".join(f"{k} = {v} # x\n" for k, v in enumerate(numbers, 1)),
                "version: 1\nn_points: 68\n{\n" + "1 2\n" * 68 + "}\n",
            )
        )
        file = place / rng.choice(("l.txt", "l.json"))
        file.write_bytes(_spoilt_text(text.encode(), rng))
        model = self.landmarks_file.with_name("flame.npz")
        return ["bundle", "import", "--face-model", model, "--landmarks", file, "--out", place / "out.voxface"], file

    def fit(self, place: Path, rng: random.Random) -> tuple[list[object], Path]:
        kind = rng.choice((".npz", ".csv", ".pts"))
        file = place / f"marks{kind}"
        if kind == ".npz":
            file.write_bytes(spoilt_npz(self.marks_bytes, rng))
        elif kind == ".csv":
            lines = [f"face{k}," + ",".join(f"{x:.2f}" for x in face.ravel()) for k, face in enumerate(self.marks)]
            file.write_bytes(_spoilt_text("\n".join(lines).encode(), rng))
        else:
            points = "".join(f"{x:.3f} {y:.3f}\n" for x, y in self.marks[0])
            file.write_bytes(_spoilt_text(f"version: 1\nn_points:  68\n{{\n{points}}}\n".encode(), rng))
        return ["data", "fit", "--landmarks", file, "--out", place / "out.npz", "--json"], file

    def population(self, place: Path, rng: random.Random) -> tuple[list[object], Path]:
        file = place / "population.npz"
        file.write_bytes(spoilt_npz(self.population_bytes, rng))
        words = ["data", "fit", "--landmarks", self.marks_file, "--population", file, "--out", place / "out.npz"]
        return [*words], file

    def faces(self, place: Path, rng: random.Random) -> tuple[list[object], Path]:
        from tests.stand_ins.sphere import sphere

        file = place / "faces.npz"
        file.write_bytes(spoilt_npz(sphere().to_bytes(), rng))
        return ["data", "fit", "--landmarks", self.marks_file, "--faces", file, "--out", place / "out.npz"], file

    def whitening(self, place: Path, rng: random.Random) -> tuple[list[object], Path]:
        arrays = {"mean": np.zeros(62, np.float32), "std": np.ones(62, np.float32)}
        if rng.random() < 0.5:
            file, data = place / "w.npz", io.BytesIO()
            np.savez(data, **arrays)
            file.write_bytes(spoilt_npz(data.getvalue(), rng))
        else:
            file = place / "param_mean_std_62d_120x120.pkl"
            whole = pickle.dumps(arrays, rng.randrange(6))
            file.write_bytes(
                rng.choice((lambda: damaged(whole, rng), lambda: odd_pickle(rng), lambda: nested_pickle(rng)))()
            )
        words = ["train", "joint", "--data", place, "--encoder", self.encoder, "--expert", place / "none.pth"]
        (place / "none.pth").write_bytes(b"")
        return [*words, "--whitening", file, "--out", place / "run"], file

    def hdf5(self, place: Path, rng: random.Random) -> tuple[list[object], Path]:
        """A model whose datasets lead elsewhere."""
        import h5py

        file = place / "model.h5"
        files.write_bfm2017(file, _SMALL)
        other = place / "other.h5"
        files.write_bfm2017(other, _SMALL)
        name = rng.choice(
            ("shape/model/mean", "shape/model/pcaBasis", "shape/representer/cells", "shape/model", "shape")
        )
        with h5py.File(file, "r+") as model:
            old = model[name][()].shape if isinstance(model[name], h5py.Dataset) else (len(_SMALL.mean) * 3,)
            del model[name]
            kind = rng.randrange(7)
            if kind == 0:
                model[name] = h5py.ExternalLink(str(other), f"/{name}")
            elif kind == 1:
                model[name] = h5py.SoftLink(f"/{name}")
            elif kind == 2:
                model["/a"], model["/b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")
                model[name] = h5py.SoftLink("/a/c")
            elif kind == 3:
                size = int(np.prod(old)) * 8
                model.create_dataset(name, old, "<f8", external=[(str(self.secret), 0, size)])
            elif kind == 4:
                layout = h5py.VirtualLayout(old, "<f8")
                layout[...] = h5py.VirtualSource(str(other), rng.choice((name, "shape/model/mean")), old)
                model.create_virtual_dataset(name, layout)
            elif kind == 5:
                model.create_dataset(name, (1 << 40,), "<f8", chunks=(1 << 20,))
            else:
                model["/out"] = h5py.ExternalLink(str(other), "/")
                model[name] = h5py.SoftLink(f"/out/{name}")
        words = ["bundle", "import", "--face-model", file, "--landmarks", self.landmarks_file]
        return [*words, "--out", place / "out.voxface"], file


def spoilt_npz(data: bytes, rng: random.Random) -> bytes:
    """An archive of arrays with damage, other headers, a bomb or pickles in it; now and then as it was."""
    kind = rng.randrange(8)
    if kind == 0:
        return data
    if kind < 4:
        return damaged(data, rng)
    if kind == 4:
        return rezipped(data, lambda member: damaged(member, rng), rng)
    if kind == 5:
        return rezipped(data, lambda member: _other_header(member, rng), rng)
    if kind == 6:
        return _bomb(data, rng)
    out = io.BytesIO()
    names = ("mean", "landmarks", "v_template", "metadata")
    np.savez(out, **dict.fromkeys(names, np.array([None, {}], object)))  # type: ignore[arg-type]
    return out.getvalue()


def _other_header(member: bytes, rng: random.Random) -> bytes:
    """A `.npy` with another type or shape in its header."""
    file = io.BytesIO(member)
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    shape = rng.choice(
        ("(1000000000000,)", "(9223372036854775807, 4)", "(-1, 3)", "()", "(0, 68, 2)", "(3, 68, 2)", "(2, 50)", "3")
    )
    types = (
        "'|O'",
        "'<f8'",
        "'<f16'",
        "'<U1000000000'",
        "'|V99999999999'",
        "'<c16'",
        "'<M8[s]'",
        "[('a', '<f8', (99999999,))]",
        "'nonsense'",
    )
    header = (
        f"{{'descr': {rng.choice(types)}, 'fortran_order': {rng.choice(('True', 'False', '3'))}, 'shape': {shape}, }}"
    )
    if rng.random() < 0.1:
        header = rng.choice(("(" * 5000, "{'a': " * 3000, "[" * 200 + "]" * 200, "9" * 5000, "\0", "{'descr'"))
    raw = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw) % 65536) + raw + member[file.tell() :]


def _bomb(data: bytes, rng: random.Random) -> bytes:
    """One member of zeros that is a thousand times as large as the archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        name = rng.choice(old.namelist())
    out, head = io.BytesIO(), io.BytesIO()
    count = rng.choice((1 << 22, 1 << 27))
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (count, 1)})  # type: ignore[arg-type]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new, new.open(name, "w") as member:
        member.write(head.getvalue())
        for _ in range(count >> 17):
            member.write(bytes(8 << 17))
    return out.getvalue()


def _spoilt_text(data: bytes, rng: random.Random) -> bytes:
    text = data.decode()
    kind = rng.randrange(11)
    if kind == 0:
        return b"\xef\xbb\xbf" + data
    if kind == 1:
        return text.encode("utf-16")
    if kind == 2:
        return text.replace("\n", rng.choice(("\r", "\r\n", "\n\n", "\x0b", "\u2028"))).encode()
    if kind == 3:
        return (rng.choice(("[", '{"a":', "(")) * 200_000).encode()
    if kind == 4:
        odd = rng.choice(("nan", "1e999", "-1", "9" * 400, "0x10", "1_000", "\u0661\u0662", "1,5", "--", "true", '"x"'))
        words = text.split(" ")
        words[rng.randrange(len(words))] = odd
        return " ".join(words).encode()
    if kind == 5:
        return (text.split("\n")[0] * 3 + "\n" + "x" * 300_000).encode()
    if kind == 6:
        return data + b"\0" * rng.randrange(1, 50)
    return damaged(data, rng)
