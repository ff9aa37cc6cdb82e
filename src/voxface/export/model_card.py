"""The model card of a bundle: a page on its data, its metrics beside those of trivial answers, and its limits.

It is written from the manifest, so that the two cannot disagree.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from voxface.runtime.bundle.manifest import Manifest, SexProbabilityEntry
from voxface.runtime.face.morphable_model import MorphableModel

CARD: Final = "model_card.md"
# Trivial answers, which need no model. A metric that has this name, or whose name ends in it, is put beside the model's.
_ANSWERS: Final = {
    "chance": "chance",
    "mean_face_per_sex": "mean face per sex",
    "mean_face": "mean face",
    "trivial": "trivial answer",
}
_LIMITS: Final = (
    "A voice tells sex, as a rule, and a little about size (the length of the vocal tract). It does not tell colours of "
    "skin, eyes or hair, hair style, the shape of the nose or the eyes, weight, or anything else that makes a face "
    "recognisable. What is shown of these is the average, or drawn.",
    "The face is not the speaker's. It is of no use for finding, recognising or excluding a person, and must not be used so.",
    "Sex is read off the generated mesh and says what the voice sounds like to the model; for many people that is not who "
    "they are. Children, hoarse, whispering, singing and acted voices are outside of what was measured.",
    "Voices, languages, microphones and faces unlike the training data get worse results, and what is average for the data "
    "is not average for everybody.",
    "The confidence says how much the sound moves as speech does and how far the voice agrees with itself over time, not "
    "how much the face resembles anybody.",
)


def model_card(manifest: Manifest, morphable: MorphableModel, limits: Sequence[str] = ()) -> str:
    """The model card as Markdown.

    Args:
        manifest: manifest of the bundle, sealed or not.
        morphable: morphable model of the bundle.
        limits: limits of this bundle, which come before the limits of all bundles.
    """
    title = " ".join(str(part) for part in (manifest.name, manifest.version) if part)
    lines = [
        f"# {title}",
        "",
        manifest.description or "A voice in, a face image and a 3D face mesh out.",
        "",
    ]
    lines += ["## Data, licence and attribution", ""]
    lines += [f"* {line}" for line in manifest.trained_on or ["Not recorded."]]
    lines += ["", f"Licence: {manifest.licence or 'not given'}.", ""]
    lines += [
        f"Faces: {morphable.name} {morphable.version} ({morphable.licence}), {len(morphable.mean)} vertices, "
        f"{morphable.modes} coefficients. {morphable.provenance}",
        "",
        "## Metrics",
        "",
        *_metrics({**(manifest.metrics or {}), **_sex_probability(manifest.calibration)}),
        "",
        "## Limits",
        "",
        *(f"* {line}" for line in (*limits, *_LIMITS)),
        "",
        "## How it was made",
        "",
        *_making(manifest),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _sex_probability(found: SexProbabilityEntry | None) -> dict[str, Any]:
    """How good the probabilities of sex are, as a metric beside a coin."""
    if found is None or not found.log_loss:
        return {}
    losses = found.log_loss
    return {
        "sex": {
            "log_loss": losses["calibrated"],
            "log_loss_uncalibrated": losses["at_slope_1"],
            "people": found.people,
            "trivial": {"log_loss": losses["coin"]},
        }
    }


def _metrics(metrics: Mapping[str, Any]) -> list[str]:
    """A table for each group of metrics: the model's values, with those of trivial answers beside them."""
    rows, trivial = _rows(metrics)
    if not rows:
        return ["None were measured."]
    kinds = list(dict.fromkeys(kind for _, kind in trivial))
    lines = ["| | this bundle |" + "".join(f" {_ANSWERS.get(kind, kind.replace('_', ' '))} |" for kind in kinds)]
    lines.append("|---|---|" + "---|" * len(kinds))
    used: set[tuple[str, str]] = set()
    measured = {name for name, _ in rows}
    for name, value in rows:
        cells = []
        for kind in kinds:
            key = next((k for k in trivial if k[1] == kind and _about(name, k[0], measured)), None)
            used |= {key} if key else set()
            cells.append(f" {_number(trivial[key]) if key else ''} |")
        lines.append(f"| {_words(name)} | {_number(value)} |" + "".join(cells))
    for key in (k for k in trivial if k not in used):
        cells = [f" {_number(trivial[key]) if kind == key[1] else ''} |" for kind in kinds]
        lines.append(f"| {_words(key[0])} | |" + "".join(cells))
    return lines


def _rows(metrics: Mapping[str, Any]) -> tuple[list[tuple[str, Any]], dict[tuple[str, str], Any]]:
    """The model's metrics, and (metric, kind of answer) -> the metric of a trivial answer."""
    rows: list[tuple[str, Any]] = []
    trivial: dict[tuple[str, str], Any] = {}
    for path, value in _leaves(metrics, ()):
        if "trivial" not in path:
            rows.append((".".join(path), value))
            continue
        at = path.index("trivial")
        group, rest = path[:at], path[at + 1 :]
        if len(rest) > 1 and rest[0] in _ANSWERS:  # {"trivial": {"mean_face": {"are": 0.1}}}
            trivial[".".join((*group, *rest[1:])), rest[0]] = value
            continue
        name = ".".join(rest)  # {"trivial": {"auc_chance": 0.5}}, {"auc": {"trivial": 0.5}}
        kind = next((k for k in _ANSWERS if name.endswith((f"_{k}", f".{k}"))), "trivial")
        stem = name if kind == "trivial" else name[: -len(kind) - 1]
        trivial[".".join((*group, *([stem] if stem else []))), kind] = value
    return rows, trivial


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    elif isinstance(value, str | int | float | bool) or (
        isinstance(value, list | tuple) and len(value) <= 4 and all(isinstance(x, int | float) for x in value)
    ):
        yield path, value


def _about(metric: str, what: str, measured: Collection[str]) -> bool:
    """Whether a trivial answer to `what` is one to `metric`: to the metric of this name, or, where none has it, to all
    that begin with it (chance at sex_agreement is chance at sex_agreement_by_clip)."""
    if what in measured or f"{what}.value" in measured:
        return metric in (what, f"{what}.value")
    return metric.startswith(f"{what}_")


def _words(name: str) -> str:
    return name.replace("_", " ").replace(".", ": ")


def _number(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " to ".join(_number(x) for x in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _making(manifest: Manifest) -> list[str]:
    lines = []
    for name, config in (manifest.training or {}).items():
        if config:
            lines += [f"Training of {name.replace('+', ' and ')}:", "", "```json", json.dumps(config), "```", ""]
    precision = manifest.precision
    if precision:
        worst = precision.largest_difference_from_pytorch or {}
        away = ", ".join(f"{name} {value:.1g}" for name, value in worst.items())
        lines += [
            f"Weights are stored as {precision.storage}; the graphs' largest differences from PyTorch with these "
            f"weights: {away}.",
            "",
        ]
    tools = ", ".join(f"{name} {version}" for name, version in (manifest.tools or {}).items())
    return [*lines, f"Made with {tools}."] if tools else lines
