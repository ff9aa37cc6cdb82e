"""`voxface bundle`: shows and verifies bundles; imports published face models and networks into new ones."""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxface.cli.arguments import (
    BUNDLE_TO_LEAVE,
    BUNDLE_TO_REPLACE,
    add_bundle,
    add_bundle_operand,
    add_force,
    add_json,
    add_out,
)
from voxface.cli.output import Progress, complain, print_json

if TYPE_CHECKING:
    from voxface.runtime.bundle.bundle import Bundle

# The formats of voxface.importers.face_models, which is not loaded for --help.
FORMATS = ("ict", "ict-face", "bfm2009", "bfm2017", "flame", "gnm", "surrey")
MODES = (40, 10)  # identity and expression modes, as many as Wu 2022 predicts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, what in (("info", "what a bundle holds"), ("verify", "check every file and load every graph")):
        action = actions.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        add_bundle_operand(action, BUNDLE_TO_LEAVE, nargs="?")
        add_json(action)
        if name == "info":
            action.add_argument("--card", action="store_true", help="print the model card and nothing else")
    what = "a bundle with the faces of a published model, or the networks of Wen 2019"
    action = actions.add_parser("import", help=what, description=f"Makes {what}.", allow_abbrev=False)
    source = action.add_mutually_exclusive_group(required=True)
    source.add_argument("--face-model", type=Path, metavar="PATH", help="the published model: a file, or ICT's folder")
    source.add_argument(
        "--wen2019",
        type=Path,
        nargs=2,
        metavar=("VOICE_EMBEDDING", "GENERATOR"),
        help="Wen 2019's voice embedding network and face generator (.pth)",
    )
    action.add_argument("--format", choices=FORMATS, help="format of PATH (detected from its contents)")
    action.add_argument("--landmarks", type=Path, metavar="FILE", help="68 vertex indices, for models that have none")
    action.add_argument(
        "--modes",
        type=_count,
        nargs=2,
        metavar=("IDENTITY", "EXPRESSION"),
        help=f"how many leading modes to keep ({MODES[0]} {MODES[1]})",
    )
    add_bundle(
        action,
        "the bundle whose voices drive it, or with --wen2019 whose face model it gets (the default one)",
        metavar="BASE",
    )
    action.add_argument(
        "--speech",
        type=Path,
        metavar="DIR",
        help="with --wen2019: recordings with speakers.csv (speaker_id, sex, file), to learn the mesh of each sex from",
    )
    add_out(action)
    add_force(action, BUNDLE_TO_REPLACE)
    add_json(action)


def run(options: argparse.Namespace) -> int:
    """Runs the action; a bundle that is invalid raises BundleError."""
    if options.action == "import":
        return _import(options)
    from voxface.runtime.processor import ask_for_one_thread

    ask_for_one_thread()  # no product here is large, and a BLAS's other threads spin for as long as numpy takes to load
    from voxface.runtime.bundle.bundle import Bundle

    bundle = Bundle.open(options.bundle)
    if options.action == "info" and options.card:
        return _print_card(bundle)
    verified = {"verified": verify(bundle)} if options.action == "verify" else {}
    document = {**info(bundle), **verified}  # last, since it waits for the morphable model, which is read meanwhile
    if options.json:
        print_json(document)
    elif options.action == "verify":
        print(f"{bundle.path}: ok, {len(bundle.files)} files and {len(document['verified'])} graphs")
    else:
        _print(_printable(document))
        _print_parts(bundle)
        _draw_card(bundle)
    return 0


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is less than 0")
    return number


def _import(options: argparse.Namespace) -> int:
    """Writes a bundle that carries a published face model or published networks; prints its description."""
    from voxface.runtime.bundle.bundle import Bundle
    from voxface.runtime.bundle.writer import check_target
    from voxface.runtime.errors import InputError, ProviderError, UsageError
    from voxface.runtime.install_advice import how_to_install

    others = {"--speech": options.speech}
    if options.face_model is None:
        others = {"--format": options.format, "--landmarks": options.landmarks, "--modes": options.modes}
    for name, value in others.items():
        if value is not None:
            raise UsageError(f"{name}: does not go with {'--wen2019' if options.wen2019 else '--face-model'}")
    sources = [options.bundle, options.face_model, *(options.wen2019 or [])]
    check_target(options.out, *(source for source in sources if source is not None), force=options.force)
    base = Bundle.open(options.bundle)
    try:
        bundle = _with_networks(options, base) if options.wen2019 else _with_faces(options, base)
    except ImportError as error:
        raise ProviderError(f"import needs {error.name}; {how_to_install('train')}") from error
    except OSError as error:
        raise InputError(f"{options.out}: cannot be written ({error.strerror}); choose another --out") from error
    document = info(bundle)
    verify(bundle)
    if options.json:
        print_json(document)
        return 0
    _print(document)
    _print_parts(bundle)
    if "retargeting" in document and not options.wen2019:
        made = document["retargeting"]
        print(
            f"  retargeted   from {made['from']}: {made['identity_explained']:.0%} of what identity moves in 68 landmarks, "
            f"which the two place {made['placement_uncertainty_mm']:.1f} mm apart"
        )
    return 0


def _with_faces(options: argparse.Namespace, base: Any) -> Any:
    """`base` with the faces of a published model."""
    from voxface.importers.face_models import read_face_model
    from voxface.importers.retarget import import_face_model

    identity, expression = options.modes or MODES
    model = read_face_model(
        options.face_model, options.format, landmarks=options.landmarks, modes=(identity, expression)
    )
    return import_face_model(base, model, options.out)


def _with_networks(options: argparse.Namespace, base: Any) -> Any:
    """The networks of Wen 2019 with the faces of `base`."""
    from voxface.importers.wen2019 import import_wen2019
    from voxface.training.data.speech_corpus import corpus

    voice, generator = options.wen2019
    found = corpus(options.speech) if options.speech else None
    for left_out in found.left_out if found else ():
        complain(f"{left_out.file}: {left_out.reason}; left out")
    recordings = found.recordings if found else ()
    progress = Progress(len(recordings), "voices")
    try:
        return import_wen2019(voice, generator, base, options.out, recordings=recordings, done=progress.step)
    finally:
        progress.close()


def info(bundle: Any) -> dict[str, Any]:
    """The manifest as JSON, with where it was found and what its morphable model is."""
    model, manifest = bundle.morphable, bundle.manifest.to_json()
    return {
        "path": str(bundle.path),
        **manifest,
        "bytes": sum(len(data) for data in bundle.files.values()),
        "morphable_model": {
            **manifest["morphable_model"],
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
        BundleError: a graph, the morphable model or a trained part is not what the manifest says.
    """
    from voxface.runtime.bundle.manifest import GRAPHS
    from voxface.runtime.engines.contract import in_words
    from voxface.runtime.engines.trial import open_graphs
    from voxface.runtime.errors import BundleError
    from voxface.runtime.face.mesh import boundary_edges

    bundle.read_ahead()
    _ = bundle.speaker_change  # reads its network
    bundle.check_face_posterior()
    names = (*GRAPHS, *(name for name in bundle.manifest.graphs if name not in GRAPHS))
    engines = open_graphs(bundle, names, lengths=(bundle.front_end.shortest,))
    for name, engine in engines.items():
        entry = bundle.manifest.graphs[name]
        for kind, found, listed in (
            ("inputs", engine.inputs, entry.inputs),
            ("outputs", engine.outputs, entry.outputs),
        ):
            said = {key: tensor.spec for key, tensor in listed.items()}
            if found != said:
                raise BundleError(
                    f"{bundle.path}: {name} has {kind} {in_words(found)}, the manifest says {in_words(said)}"
                )
    try:
        found_edges = boundary_edges(bundle.morphable.triangles)
    except ValueError as error:
        raise BundleError(f"{bundle.path}: morphable model: {error}") from error
    if found_edges != bundle.morphable.boundary_edges:
        raise BundleError(
            f"{bundle.path}: the mesh has {found_edges} boundary edges, the morphable model says "
            f"{bundle.morphable.boundary_edges}"
        )
    return list(bundle.manifest.graphs)


def _print_card(bundle: Any) -> int:
    from voxface.runtime.errors import InputError

    entry = bundle.manifest.model_card
    if entry is None:
        raise InputError(f"{bundle.path}: this bundle has no model card; bundles of older versions have none")
    card = bundle.files[entry.file].decode("utf-8", "replace")
    if sys.stdout.isatty():
        _draw(card)
    else:
        print(card, end="")
    return 0


def _draw_card(bundle: "Bundle") -> None:
    """What a terminal shows of the model card besides: how good the bundle is, and what it cannot do."""
    from voxface.cli.drawn_markdown import section

    entry = bundle.manifest.model_card
    if entry is not None and sys.stdout.isatty():
        print()
        _draw(section(bundle.files[entry.file].decode("utf-8", "replace"), "Metrics", "Limits"))


def _draw(text: str) -> None:
    from voxface.cli.drawn_markdown import drawn

    styled = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for line in drawn(text, shutil.get_terminal_size().columns, styled=styled):
        print(line)


def _print_parts(bundle: "Bundle") -> None:
    """The trained parts, and what the bundle goes without where there are none."""
    if bundle.manifest.speech_modulation is not None:
        print("  speech       told from music and noise by how its spectrum moves")
    entry = bundle.manifest.speaker_change
    if entry is not None:
        fitted = bundle.graph_digests()["encoder"] == entry.encoder_sha256
        print(
            f"  speakers     a change is noticed from evidence {entry.threshold:g} on, trained for {_fitted_to(fitted)}"
        )
    if bundle.manifest.face_posterior is not None:
        print("  uncertainty  how far the faces of people with one voice differ (voxface run --samples)")
    age = bundle.manifest.age
    if age is not None:
        fitted = bundle.graph_digests()["encoder"] == age.encoder_sha256
        print(
            f"  age          a child's voice is told from probability {age.child.threshold:g} on; an adult's age is "
            f"{'told' if age.years else 'not told, since the mean age is as good'}; fitted for {_fitted_to(fitted)}"
        )
    for what in bundle.missing_parts.values():
        print(f"  without      {what}")


def _fitted_to(same: bool) -> str:
    return "this voice encoder" if same else "the voice encoder before its precision was changed, or another"


def _printable(value: Any) -> Any:
    """A document whose texts cannot move a terminal's cursor or change its title."""
    if isinstance(value, str):
        return "".join(letter if letter.isprintable() else " " for letter in value)
    if isinstance(value, dict):
        return {_printable(name): _printable(each) for name, each in value.items()}
    return [_printable(each) for each in value] if isinstance(value, list | tuple) else value


def _print(document: dict[str, Any]) -> None:
    document = {name: value for name, value in document.items() if value is not None}  # null is as good as missing
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
    for engine in document.get("engines", []):
        print(
            f"  engine       {engine['graph']} {engine['flavour']} {engine['version']} for {', '.join(engine['targets'])}, "
            f"{'+'.join(engine.get('precision') or [])}, {(engine.get('size') or 0) / 1e6:.1f} MB"
        )
    if "imported" in document:
        print(f"  mesh is the  {document['imported']['mesh']}")
    for name, value in document.get("metrics", {}).items():
        if not isinstance(value, dict) or "model_card" not in document:  # the card has tables of the others
            print(f"  {name:<12} {value}")
    if "model_card" in document:
        print(f"  model card   {document['model_card']['file']} (voxface bundle info --card)")
