"""The voice encoder: are two recordings of one speaker, and what sex and age are heard; beside a public encoder.

Speakers are those of the split whom no voice encoder here learns from (`voxface.training.data.speaker_splits`). A speaker with
one recording is compared with themselves by its two halves.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from voxface.runtime.errors import InputError, ProviderError, UsageError
from voxface.training.evaluation import figures
from voxface.training.evaluation.hearing.speaker_told import FEWEST, NOTE, tag, told_tables
from voxface.training.evaluation.hearing.speaker_trials import Piece, auc_by_speaker, halved, pair_rates, read_speech
from voxface.training.evaluation.hearing.voice_systems import (
    BundleVoices,
    CentredVoices,
    MeanSpectrum,
    TeacherVoices,
    VoiceSystem,
    resemblyzer,
)
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.leaks import check_apart
from voxface.training.evaluation.measures.verification_intervals import Rates
from voxface.training.evaluation.result import Column, Measured, PerPerson, Row, SuiteResult, Table
from voxface.training.voices.listing import Voice, voices

SECONDS: Final = (1, 2, 3, 5)
SPEAKERS: Final = 100_000  # all
_QUICK_SPEAKERS: Final = 60
CENTRE: Final = 200  # training recordings whose mean the teacher is centred on
LEARNT: Final = 1000  # training recordings that probes learn from
_QUICK_LEARNT: Final = 120


def run(inputs: Inputs) -> SuiteResult:
    """Measures the bundle's voice encoder, those of the bundles beside it, and Resemblyzer.

    Raises:
        UsageError: no --speech, or predictions instead of a bundle.
        InputError: a folder has no speakers of the split, or none with enough speech.
    """
    if not inputs.speech:
        raise UsageError("--speech: speaker needs folders of recordings with a speakers.csv")
    encoders, missing = _systems(inputs)
    tables: list[Table] = []
    per_person: dict[str, PerPerson] = {}
    facts: dict[str, Any] = {"speech": {}}
    curves: dict[str, dict[str, dict[int, Measured]]] = {}
    digest = hashlib.sha256()
    for folder in inputs.speech:
        name = folder.resolve().name
        recordings, learnt = _recordings(inputs, folder, missing)
        pieces = halved(recordings)
        systems = _with_centred(encoders, learnt)
        tables.append(_verification(systems, pieces, name, per_person, inputs))
        by_seconds, table = _by_seconds(systems, pieces, name, inputs)
        if table is None:
            missing.append(f"{name}: rates by seconds: fewer than {FEWEST} speakers have pieces of {max(SECONDS)} s")
        else:
            tables.append(table)
            curves[name] = by_seconds
        tables += told_tables(encoders, recordings, learnt, name, per_person, missing, inputs)
        for piece in recordings:
            digest.update(piece.voice.speaker.encode() + piece.samples.tobytes())
        speakers = len({piece.voice.speaker for piece in recordings})
        facts["speech"][name] = {"speakers": speakers, "recordings": len(recordings), "pieces": len(pieces)}
    facts["data_sha256"] = digest.hexdigest()
    shown = {"speaker-seconds.png": _figure(curves)} if curves else {}
    return SuiteResult("speaker", tuple(tables), shown, per_person, facts, _statements(tables), tuple(missing))


def _systems(inputs: Inputs) -> tuple[list[VoiceSystem], list[str]]:
    found: list[VoiceSystem] = [BundleVoices(inputs.bundle, inputs.bundle.name, "ours")]
    for number, bundle in enumerate(inputs.beside, 1):
        known = any(system.name == bundle.name for system in found)
        found.append(BundleVoices(bundle, f"{bundle.name} ({number + 1})" if known else bundle.name, "baseline"))
    missing = []
    try:
        found.append(resemblyzer())
    except ProviderError as error:
        missing.append(f"Resemblyzer beside ours: {error}")
    return [*found, MeanSpectrum()], missing


def _with_centred(systems: Sequence[VoiceSystem], learnt: Sequence[Piece]) -> list[VoiceSystem]:
    """The systems, the teacher also centred on training recordings, as the encoders that learn from it are taught it."""
    others = [piece.samples for piece in learnt[:CENTRE]]
    found: list[VoiceSystem] = []
    for system in systems:
        found.append(system)
        if isinstance(system, TeacherVoices) and others:
            found.append(CentredVoices.on(system, others))
    return found


def _recordings(inputs: Inputs, folder: Path, missing: list[str]) -> tuple[list[Piece], list[Piece]]:
    """Speech of the split's speakers, and of some training speakers for probes."""
    listed = voices(folder)
    asked = [voice for voice in listed if voice.split == inputs.split]
    train = [voice for voice in listed if voice.split == "train"]
    check_apart([voice.speaker for voice in train], [voice.speaker for voice in asked], str(folder))
    if not asked:
        raise InputError(
            f"{folder}: has no {inputs.split} speakers (they are chosen by their ids); give another --split or folder"
        )
    name = folder.resolve().name
    tested, left_out = read_speech(
        _some(asked, inputs.fewer(SPEAKERS, _QUICK_SPEAKERS), inputs.seed), inputs.phase(f"hearing {name}")
    )
    if left_out:
        missing.append(f"{name}: {len(left_out)} recordings, the first is {left_out[0].file}: {left_out[0].reason}")
    if len({piece.voice.speaker for piece in tested}) < 2:
        raise InputError(f"{folder}: fewer than two {inputs.split} speakers have a second of speech")
    learnt, _ = read_speech(
        _some(train, inputs.fewer(LEARNT, _QUICK_LEARNT), inputs.seed), inputs.phase(f"hearing {name} to learn")
    )
    return tested, learnt


def _some(listed: Sequence[Voice], most: int, seed: int) -> list[Voice]:
    """All recordings of at most so many speakers, drawn from the seed; in the order of the list."""
    speakers = list(dict.fromkeys(voice.speaker for voice in listed))
    chosen = set(speakers)
    if len(speakers) > most:
        chosen = {speakers[int(k)] for k in np.random.default_rng(seed).permutation(len(speakers))[:most]}
    return [voice for voice in listed if voice.speaker in chosen]


def _verification(
    systems: Sequence[VoiceSystem], pieces: Sequence[Piece], name: str, per_person: dict[str, PerPerson], inputs: Inputs
) -> Table:
    speakers = [piece.voice.speaker for piece in pieces]
    rows, done = [], inputs.phase(f"comparing {name}")
    for number, system in enumerate(systems):
        embeddings = system.embed([piece.samples for piece in pieces])
        rows.append(Row(system.name, system.kind, _cells(pair_rates(embeddings, speakers, seed=inputs.seed))))
        if not number:
            per_person[f"AUC of a speaker, {name}"] = PerPerson("higher", auc_by_speaker(embeddings, speakers))
        done(number + 1, len(systems))
    rows.append(Row("chance", "trivial", {"EER": Measured(0.5), "AUC": Measured(0.5)}))
    title = (
        f"Speaker verification, {name}: {len(set(speakers))} {inputs.split} speakers, {len(pieces)} pieces, all pairs"
    )
    note = f"A piece is a recording, or half of one where a speaker has no other. {NOTE}"
    columns = (Column("EER", "%", "lower"), Column("AUC", "%", digits=2))
    return Table(f"verification-{tag(name)}", title, columns, tuple(rows), note)


def _cells(rates: Rates) -> dict[str, Measured]:
    return {"EER": rates.eer, "AUC": rates.auc}


def _by_seconds(
    systems: Sequence[VoiceSystem], pieces: Sequence[Piece], name: str, inputs: Inputs
) -> tuple[dict[str, dict[int, Measured]], Table | None]:
    """EER of the first seconds of the same pieces, which are as long as the longest."""
    long = [piece for piece in pieces if len(piece.samples) >= 16_000 * max(SECONDS)]
    counts = np.unique([piece.voice.speaker for piece in long], return_counts=True)[1]
    if (counts > 1).sum() < FEWEST:
        return {}, None
    speakers = [piece.voice.speaker for piece in long]
    found: dict[str, dict[int, Measured]] = {}
    done = inputs.phase(f"comparing {name} by seconds")
    for number, system in enumerate(systems):
        for place, seconds in enumerate(SECONDS):
            embeddings = system.embed([piece.samples[: 16_000 * seconds] for piece in long])
            found.setdefault(system.name, {})[seconds] = pair_rates(embeddings, speakers, seed=inputs.seed).eer
            done(number * len(SECONDS) + place + 1, len(systems) * len(SECONDS))
    rows = [Row(system.name, system.kind, _of_seconds(found[system.name])) for system in systems]
    rows.append(Row("chance", "trivial", {f"{s} s": Measured(0.5) for s in SECONDS}))
    title = f"EER by seconds of speech, {name}: {len(set(speakers))} {inputs.split} speakers, {len(long)} pieces"
    columns = tuple(Column(f"{s} s", "%", "lower") for s in SECONDS)
    return found, Table(
        f"seconds-{tag(name)}", title, columns, tuple(rows), f"The first seconds of the same pieces. {NOTE}"
    )


def _of_seconds(found: Mapping[int, Measured]) -> dict[str, Measured]:
    return {f"{seconds} s": number for seconds, number in found.items()}


def _statements(tables: Sequence[Table]) -> tuple[str, ...]:
    """How ours compares with the public encoder, in a sentence a folder."""
    said = []
    for table in tables:
        rows = {row.kind: row for row in table.rows if row.kind == "ours" or "centred" in row.method}
        if table.name.startswith("verification-") and {"ours", "baseline"} <= rows.keys():
            ours, theirs = (rows[kind].values["EER"].value for kind in ("ours", "baseline"))
            word = "below" if ours < theirs else "not below"
            other = rows["baseline"].method
            said.append(
                f"{table.title}: the EER of {rows['ours'].method}, {ours:.1%}, is {word} that of {other}, {theirs:.1%}."
            )
    return tuple(said)


def _figure(curves: Mapping[str, Mapping[str, Mapping[int, Measured]]]) -> bytes:
    figure, panels = figures.panels(
        "Speaker verification by seconds of speech", len(curves), (3.6 * len(curves) + 1.4, 3.4)
    )
    for axes, (name, systems) in zip(panels, curves.items(), strict=True):
        for colour, (method, values) in zip(figures.COLOURS, systems.items(), strict=False):
            x, numbers = list(values), list(values.values())
            axes.plot(
                x, [100 * number.value for number in numbers], color=colour, marker="o", markersize=4, label=method
            )
            low = [100 * (number.value if number.low is None else number.low) for number in numbers]
            high = [100 * (number.value if number.high is None else number.high) for number in numbers]
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.axhline(50, color=figures.INK, linestyle=":", label="chance")
        axes.set_title(name, fontsize=9, color=figures.INK)
        axes.set_xlabel("speech in each of two pieces (s)")
        axes.set_xticks(SECONDS)
        axes.set_ylim(0, 55)
        axes.legend(fontsize=7, edgecolor="none", framealpha=0.9)
    panels[0].set_ylabel("equal error rate (%)")
    return figures.png(figure)
