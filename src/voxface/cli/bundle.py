"""`voxface bundle`: look into bundles and verify them."""

import argparse
from pathlib import Path
from typing import Any

from voxface.cli.output import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, what in (("info", "what a bundle holds"), ("verify", "check every file and load every graph")):
        action = actions.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        action.add_argument("bundle", nargs="?", type=Path, help="bundle folder or .voxface file (the default bundle)")
        action.add_argument("--json", action="store_true", help="one JSON document on standard output")


def run(options: argparse.Namespace) -> int:
    """Runs the action; a bundle that is invalid raises BundleError."""
    from voxface.runtime.bundle import Bundle

    bundle = Bundle.open(options.bundle)
    document = info(bundle)
    if options.action == "verify":
        document["verified"] = verify(bundle)
    if options.json:
        print_json(document)
    elif options.action == "verify":
        print(f"{bundle.path}: ok, {len(bundle.files)} files and {len(document['verified'])} graphs")
    else:
        _print(document)
    return 0


def info(bundle: Any) -> dict[str, Any]:
    """The manifest, with where it was found and what its morphable model is."""
    model = bundle.morphable
    return {
        "path": str(bundle.path),
        **bundle.manifest,
        "bytes": sum(len(data) for data in bundle.files.values()),
        "morphable_model": {
            **bundle.manifest["morphable_model"],
            "name": model.name,
            "version": model.version,
            "licence": model.licence,
            "vertices": len(model.mean),
            "triangles": len(model.triangles),
            "coefficients": model.modes,
        },
    }


def verify(bundle: Any) -> list[str]:
    """Loads and runs every graph on the CPU and checks its signature and topology; returns the graphs' names.

    Raises:
        BundleError: a graph or the morphable model is not what the manifest says.
    """
    from voxface.runtime.engines import open_engine
    from voxface.runtime.errors import BundleError
    from voxface.runtime.mesh import boundary_edges

    for name, entry in bundle.manifest["graphs"].items():
        with open_engine(bundle.graph(name), "cpu", name=name) as engine:
            for kind, specs in (("inputs", engine.inputs), ("outputs", engine.outputs)):
                found = {key: {"dtype": spec.dtype, "shape": list(spec.shape)} for key, spec in specs.items()}
                if found != entry[kind]:
                    raise BundleError(f"{bundle.path}: {name} has {kind} {found}, the manifest says {entry[kind]}")
            engine.warm_up({"T": 1000})
    try:
        found_edges = boundary_edges(bundle.morphable.triangles)
    except ValueError as error:
        raise BundleError(f"{bundle.path}: morphable model: {error}") from error
    if found_edges != bundle.morphable.boundary_edges:
        raise BundleError(
            f"{bundle.path}: the mesh has {found_edges} boundary edges, the morphable model says "
            f"{bundle.morphable.boundary_edges}"
        )
    return list(bundle.manifest["graphs"])


def _print(document: dict[str, Any]) -> None:
    model = document["morphable_model"]
    print(f"{document['name']} {document.get('version', '')} — {document['path']}, {document['bytes'] / 1e6:.1f} MB")
    print(f"  {document.get('description', '')}")
    print(f"  licence      {document.get('licence', 'not given')}")
    for line in document.get("trained_on", []):
        print(f"  trained on   {line}")
    for name, graph in document["graphs"].items():
        signature = "; ".join(
            f"{key} {spec['dtype']}{spec['shape']}"
            for kind in ("inputs", "outputs")
            for key, spec in graph[kind].items()
        )
        print(f"  {name:<12} {signature}")
    print(
        f"  faces        {model['name']} {model['version']} ({model['licence']}): {model['vertices']} vertices, "
        f"{model['triangles']} triangles, {model['coefficients']} coefficients"
    )
    for name, value in document.get("metrics", {}).items():
        print(f"  {name:<12} {value}")
