"""A bundle: everything one model needs, in a folder or one `.voxface` zip, verified before a byte of it is used.

`bundle.json` is the manifest: schema, name, licence, provenance, front-end and VAD settings, graph signatures, measured
precision, and every file with size and SHA-256. The manifest carries its own digest, so a change to it shows as well.
"""

import hashlib
import json
import lzma
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Self

from voxface.runtime.background import Background
from voxface.runtime.bundle.engine_plan import EnginePlan
from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.config.vad import VadConfig
from voxface.runtime.errors import BundleError
from voxface.runtime.face.morphable_model import MorphableModel

SCHEMA = 1
MANIFEST = "bundle.json"
SUFFIX = ".voxface"
LARGEST_MANIFEST = 4 << 20
GRAPHS = ("encoder", "face", "mesh")
FUSED = "fused"  # the three as one, for GPUs; few bundles have it
# NotImplementedError is how zipfile refuses a compression or encryption it does not know.
_ZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error, lzma.LZMAError)
DEFAULT = Path(__file__).parent / "default"


def digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its own `sha256`, as compact JSON with sorted keys."""
    bare = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(bare, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class Bundle:
    """An opened, verified bundle.

    Attributes:
        path: the folder or zip it came from.
        manifest: what `bundle.json` says.
        files: name -> bytes of every file the manifest lists.
    """

    path: Path
    manifest: dict[str, Any]
    files: dict[str, bytes]

    @classmethod
    def open(cls, path: Path | str | None = None) -> Self:
        """Reads and verifies a bundle; None: the default one.

        Raises:
            BundleError: missing, no bundle, another schema, a path outside the bundle, a wrong size or hash.
        """
        path = DEFAULT if path is None else Path(path)
        if not path.is_dir() and not path.is_file():
            hint = " (this installation carries no default bundle)" if path == DEFAULT else ""
            raise BundleError(f"{path}: no such bundle{hint}; give a bundle's folder or a {SUFFIX} file")
        if path.is_dir():
            manifest = _manifest(path, _from_folder(path, MANIFEST, LARGEST_MANIFEST))
            files = _verify(path, manifest, lambda name, size: _from_folder(path, name, size))
        else:
            try:
                with zipfile.ZipFile(path) as z:
                    for name in z.namelist():
                        _inside(path, name)
                    manifest = _manifest(path, _from_zip(path, z, MANIFEST, LARGEST_MANIFEST))
                    files = _verify(path, manifest, lambda name, size: _from_zip(path, z, name, size))
            except (*_ZIP_ERRORS, OSError, ValueError) as error:
                raise BundleError(f"{path}: not a bundle, or a damaged one ({error}); fetch it again") from error
        bundle = cls(path, manifest, files)
        bundle._check_contents()
        return bundle

    @property
    def name(self) -> str:
        """The bundle's name."""
        return str(self.manifest["name"])

    @cached_property
    def front_end(self) -> FrontEndConfig:
        """The features its voice encoder was trained on."""
        return FrontEndConfig(**self.manifest["front_end"])

    @cached_property
    def vad(self) -> VadConfig:
        """The voice activity settings it was trained on."""
        return VadConfig(**self.manifest["vad"])

    @cached_property
    def _reading(self) -> Background[MorphableModel]:
        name = self.manifest["morphable_model"]["file"]

        def read() -> MorphableModel:
            try:
                return MorphableModel.from_bytes(self.files[name])
            except BundleError as error:
                raise BundleError(f"{self.path}: {name}: {error}") from error

        return Background(read)

    def read_ahead(self) -> None:
        """Begins to read the morphable model, which takes as long as loading the graphs; `morphable` then has it sooner."""
        _ = self._reading

    @property
    def morphable(self) -> MorphableModel:
        """Its morphable model."""
        return self._reading.result()

    @cached_property
    def sex_slope(self) -> float:
        """What the evidence for a sex is multiplied with, see `estimate.read_attributes`; 1 where none was measured."""
        slope = float(self.manifest.get("calibration", {}).get("sex_slope", 1.0))
        if not (math.isfinite(slope) and slope > 0):
            raise ValueError(f"calibration: sex_slope is {slope}, not positive")
        return slope

    def graph(self, name: str) -> bytes:
        """The ONNX file of a graph: "encoder", "face", "mesh", or "fused" where there is one."""
        return self.files[self.manifest["graphs"][name]["file"]]

    def graph_digests(self) -> dict[str, str]:
        """SHA-256 of the three graphs' files, by graph."""
        return {name: hashlib.sha256(self.graph(name)).hexdigest() for name in GRAPHS}

    @cached_property
    def fused(self) -> bool:
        """Whether there is a graph "fused", and it was made of the graphs that are here now; calibrating makes others."""
        entry = self.manifest["graphs"].get(FUSED, {})
        return entry.get("file") in self.files and entry.get("of") == self.graph_digests()

    @property
    def graphs(self) -> tuple[str, ...]:
        """Names of the graphs that can be run."""
        return (*GRAPHS, FUSED) if self.fused else GRAPHS

    @cached_property
    def plans(self) -> tuple[EnginePlan, ...]:
        """The engines that were built ahead for its graphs, see `voxface build`; most bundles have none."""
        graphs = self.manifest["graphs"]
        return tuple(EnginePlan.of_manifest(entry, graphs, self.files) for entry in self.manifest.get("engines", ()))

    def _check_contents(self) -> None:
        try:
            missing = [g for g in GRAPHS if self.manifest["graphs"][g]["file"] not in self.files]
            if missing or self.manifest["morphable_model"]["file"] not in self.files:
                raise BundleError(
                    f"{self.path}: the manifest lists no file for {', '.join(missing) or 'morphable_model'}"
                )
            for name, entry in self.manifest["graphs"].items():
                for kind in ("inputs", "outputs"):
                    if not all(isinstance(spec["shape"], list) and str(spec["dtype"]) for spec in entry[kind].values()):
                        raise ValueError(f"{kind} of {name} have no shape")
            mels = self.manifest["graphs"]["encoder"]["inputs"]["log_mel"]["shape"][1]
            if mels != self.front_end.mels:
                raise ValueError(f"the encoder takes {mels} mel bins, the front end makes {self.front_end.mels}")
            if "model_card" in self.manifest and self.manifest["model_card"]["file"] not in self.files:
                raise ValueError("the manifest lists no file for model_card")
            if not isinstance(self.manifest.get("trained_on", []), list):
                raise ValueError("trained_on is no list")
            if not isinstance(self.manifest.get("metrics", {}), dict):
                raise ValueError("metrics is no object")
            _ = (self.front_end, self.vad, self.sex_slope, self.plans, str(self.manifest["name"]))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{self.path}: the manifest is incomplete or wrong: {error!r}") from error


def _inside(path: Path, name: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or ".." in parts or ":" in parts[0] or "\0" in name:
        raise BundleError(f"{path}: names a file outside the bundle ({name!r}); do not use this bundle")


def _manifest(path: Path, data: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: {MANIFEST} is not JSON ({error}); fetch the bundle again") from error
    if not isinstance(manifest, dict) or "schema" not in manifest:
        raise BundleError(f"{path}: {MANIFEST} names no schema; this is not a voxface bundle")
    if manifest["schema"] != SCHEMA:
        raise BundleError(
            f"{path}: bundle schema {manifest['schema']}, this voxface reads schema {SCHEMA}; "
            "upgrade voxface or export the bundle again"
        )
    if manifest.get("sha256") != digest(manifest):
        raise BundleError(f"{path}: {MANIFEST} does not match its own SHA-256; it was damaged or edited")
    return manifest


def _verify(path: Path, manifest: dict[str, Any], read: Callable[[str, int], bytes]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    table = manifest.get("files")
    if not isinstance(table, dict):
        raise BundleError(f"{path}: {MANIFEST} lists no files")
    for name, entry in table.items():
        _inside(path, name)
        if not isinstance(entry, dict) or not isinstance(entry.get("size"), int) or "sha256" not in entry:
            raise BundleError(f"{path}: the manifest is incomplete or wrong: {name} has no size or SHA-256")
        data = read(name, entry["size"])
        if len(data) != entry["size"]:
            raise BundleError(f"{path}: {name} has {len(data)} bytes, not {entry['size']}; fetch the bundle again")
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise BundleError(f"{path}: {name} does not match its SHA-256; it was damaged or changed, fetch it again")
        files[name] = data
    return files


def _from_folder(path: Path, name: str, most: int) -> bytes:
    file = path / name
    if not file.resolve().is_relative_to(path.resolve()):
        raise BundleError(f"{path}: {name} is a link that leaves the bundle; do not use this bundle")
    try:
        if file.exists() and not file.is_file():
            raise BundleError(f"{path}: {name} is no file; do not use this bundle")
        size = file.stat().st_size
        if size > most:
            raise BundleError(f"{path}: {name} has {size} bytes, more than the {most} it may have")
        return file.read_bytes()
    except FileNotFoundError as error:
        raise BundleError(f"{path}: {name} is missing; this is not a voxface bundle, or not all of one") from error
    except OSError as error:
        raise BundleError(f"{path}: {name} cannot be read ({error.strerror})") from error


def _from_zip(path: Path, z: zipfile.ZipFile, name: str, most: int) -> bytes:
    try:
        info = z.getinfo(name)
    except KeyError as error:
        raise BundleError(f"{path}: {name} is missing; this is not a voxface bundle, or not all of one") from error
    if info.file_size > most:  # before unpacking: a small zip may hold a very large file
        raise BundleError(f"{path}: {name} has {info.file_size} bytes, more than the {most} it may have")
    return z.read(info)
