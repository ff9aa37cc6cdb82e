"""A bundle as a model repository of NVIDIA Triton Inference Server: its networks, each with `config.pbtxt` and a version 1.

Features, speech gate, attributes and the mesh are computed by the client, with the runtime: `examples/triton_client/`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from voxface.export.triton_config import Device, TritonModel
from voxface.runtime.bundle.bundle import GRAPHS, Bundle
from voxface.runtime.bundle.engine_plan import EnginePlan
from voxface.runtime.engines.trial import open_graphs
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.files.existing import check_existing, fresh_folder, holds_only

MANIFEST: Final = "voxface.json"  # beside the folders of models, which alone Triton looks at
KIND: Final = "voxface Triton repository"
PREFIX: Final = "voxface_"
VERSION: Final = "1"
FLAVOUR: Final = "tensorrt"  # of plans that Triton's TensorRT reads; it has no TensorRT for RTX
MOST: Final = 4096


@dataclass(frozen=True)
class TritonSettings:
    """How Triton runs the models.

    Attributes:
        most_at_once: the largest batch.
        delay_us: how long a request waits for others that may go with it, in microseconds.
        instances: copies of each model on every device.
        device: where they run; "auto": on the GPUs, if there are any.
    """

    most_at_once: int = 8
    delay_us: int = 2000
    instances: int = 1
    device: Device = "auto"

    def __post_init__(self) -> None:
        for name, least, most in (("most_at_once", 1, MOST), ("delay_us", 0, 10_000_000), ("instances", 1, MOST)):
            value = getattr(self, name)
            if not least <= value <= most:
                raise UsageError(f"{OPTIONS[name]} {value}: {least} to {most}")


OPTIONS: Final[Mapping[str, str]] = {
    "most_at_once": "--max-batch",
    "delay_us": "--max-delay-us",
    "instances": "--instances",
}


def check_repository(path: Path, bundle: Path, *, force: bool) -> None:
    """Checks that a repository may be written to `path`.

    Raises:
        UsageError: something else would be lost, or a repository without `force`.
    """
    check_existing(path, "--triton", "Triton repository of voxface", _is_own, bundle, force=force)


def write_repository(bundle: Bundle, path: Path, settings: TritonSettings | None = None) -> list[TritonModel]:
    """Writes a model repository, whole or not at all; returns its models. See `check_repository` for what may be there.

    Raises:
        BundleError: a graph that does not keep its contract, see `voxface.runtime.engines.trial.open_graphs`.
        InputError: it cannot be written.
    """
    models = list(_models(bundle, settings or TritonSettings()))
    contents = {
        name: data
        for model in models
        for name, data in (
            (f"{model.name}/config.pbtxt", model.config().encode()),
            *((f"{model.name}/{VERSION}/{file}", data) for file, data in model.files.items()),
        )
    }
    about = {
        "kind": KIND,
        "bundle": {"name": bundle.name, "version": bundle.manifest.version, "sha256": bundle.manifest.sha256},
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()},
    }
    contents[MANIFEST] = f"{json.dumps(about, indent=1)}\n".encode()
    try:
        with fresh_folder(path) as fresh:
            for name, data in contents.items():
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                (fresh / name).write_bytes(data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error
    return models


def _is_own(path: Path) -> bool:
    def files(document: dict[str, Any]) -> set[str]:
        if document["kind"] != KIND:
            raise ValueError("another document")
        return set(document["files"])

    return path.is_dir() and holds_only(path, MANIFEST, files)


def _models(bundle: Bundle, settings: TritonSettings) -> Iterator[TritonModel]:
    calibrated = bundle.manifest.precision and bundle.manifest.precision.calibrated
    about = {
        "bundle": f"{bundle.name} {bundle.manifest.version}",
        "bundle_sha256": str(bundle.manifest.sha256),
        "precision": calibrated.mode if calibrated else "float32",
    }
    engines = open_graphs(bundle, GRAPHS, "cpu")
    for name, engine in engines.items():
        with engine:
            yield TritonModel(
                name=f"{PREFIX}{name}",
                backend="onnxruntime",
                inputs=engine.inputs,
                outputs=engine.outputs,
                files={"model.onnx": bundle.graph(name)},
                most_at_once=settings.most_at_once,
                delay_us=settings.delay_us,
                instances=settings.instances,
                device=settings.device,
                parameters=about,
            )
    for name, digest in bundle.graph_digests().items():
        plans = [
            plan for plan in bundle.plans if (plan.graph, plan.flavour, plan.onnx_sha256) == (name, FLAVOUR, digest)
        ]
        if plans:
            yield _of_plans(name, plans, settings, about)


def _of_plans(name: str, plans: list[EnginePlan], settings: TritonSettings, about: Mapping[str, str]) -> TritonModel:
    """A model of plans, which are each for GPUs of some capabilities; it takes as large a batch as all of them do."""
    files: dict[str, bytes] = {}
    capabilities: dict[str, str] = {}
    for plan in plans:
        file = f"model_{'_'.join(plan.targets)}.plan"
        files[file] = plan.data
        capabilities |= {_capability(target): file for target in plan.targets}
    largest = min(shapes[2][0] for plan in plans for shapes in plan.profile.values())
    versions = sorted({plan.version for plan in plans})
    return TritonModel(
        name=f"{PREFIX}{name}_tensorrt",
        backend="tensorrt",
        inputs=plans[0].inputs,
        outputs=plans[0].outputs,
        files=files,
        capabilities=capabilities,
        most_at_once=min(settings.most_at_once, largest),
        delay_us=settings.delay_us,
        instances=settings.instances,
        device="gpu",
        parameters={**about, "tensorrt": ", ".join(versions)},  # no other version reads it
    )


def _capability(target: str) -> str:
    """A compute capability as Triton writes it: 8.6 for sm86."""
    digits = target.removeprefix("sm")
    return f"{digits[:-1]}.{digits[-1]}"
