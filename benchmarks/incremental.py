"""Mode incremental compared with mode exact: the cost of an update as the window grows, and the difference of the estimates.

    VOXFACE_SHARED=… python -m benchmarks.incremental [--updates N] [--recordings N]

Cost: whole live sessions with the default bundle on one thread, with full windows of several lengths. All sessions get the same
hop of 100 ms one after another, so that other load on the machine affects all alike. Mode exact repeats a window to 10 s, so it
costs nearly the same at 2 s as at 8 s; "untiled" encodes the window as it is, as the papers' code would. Mode incremental
encodes less of a longer window, because more of it stays unchanged.

Agreement: one recording of each speaker that the bundle was not trained on, in mode incremental. At every fifth update the
exact estimate of the same window is made too. The limit of the drift was chosen on training speakers.
"""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.record import record
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.config.front_end import STRIDE
from voxface.runtime.config.live import LiveConfig, Mode
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.features.normalisation import network_input
from voxface.runtime.features.speech import Speech
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.inference.incremental import APPROXIMATIONS, IncrementalEstimator
from voxface.runtime.live.events import EngineFailed, FaceEstimated, SpeakerChanged
from voxface.runtime.live.session import Estimator, LiveSession
from voxface.runtime.live.speaker_change import BEFORE, NEWEST, Differences, evidence
from voxface.runtime.live.speaker_embedding import SpeakerEmbeddingNetwork
from voxface.runtime.timing.stage_timer import StageTimer
from voxface.training.data.speech_corpus import librispeech

EXAMPLES: Final = Path(__file__).parent.parent / "examples"
WINDOWS_S: Final = (2, 4, 6, 8, 30)
HOP: Final = SAMPLE_RATE // 10
EVERY: Final = 5
SETTLED_S: Final = 3.0

Samples = NDArray[np.int16]


class Untiled:
    """Mode exact without repeating short windows up to the shortest input."""

    def __init__(self, whole: FaceEstimator) -> None:
        self._whole = whole
        self.speech_modulation, self.speaker_change = whole.speech_modulation, whole.speaker_change

    def estimate(
        self, speech: Speech, before: Estimate | None = None, image_reuse_distance: float = 0.0, *, timer: StageTimer
    ) -> Estimate:
        """The face of a window."""
        found = self._whole.encoder.run(
            {"log_mel": network_input(speech.log_mel, STRIDE, self._whole.bundle.front_end.normalisation)}
        )
        timer.lap("encoder")
        return self._whole.decode(speech, found["embedding"][0], found["columns"][0], timer=timer)


def costs(whole: FaceEstimator, updates: int) -> dict[str, Any]:
    """Milliseconds of an update, and of its encoder, for every way and window."""
    ways: dict[str, tuple[Estimator, Mode]] = {
        "untiled": (Untiled(whole), "exact"),
        "exact": (whole, "exact"),
        "incremental": (whole, "incremental"),
    }
    # A synthesised voice, repeated: it needs no shared data, and is steady enough that no speaker change is reported.
    voice = np.concatenate(list(read_blocks(EXAMPLES / "sample_male.flac")))
    sessions: dict[tuple[str, int], LiveSession] = {}
    for name, (estimator, mode) in ways.items():
        for seconds in WINDOWS_S:
            config = LiveConfig(
                first=seconds * SAMPLE_RATE, window=seconds * SAMPLE_RATE, hop=HOP, mode=mode, image_reuse_distance=0.0
            )
            sessions[name, seconds] = LiveSession(estimator, config)
    times: dict[tuple[str, int], list[tuple[float, float]]] = {key: [] for key in sessions}
    hops = (max(WINDOWS_S) * SAMPLE_RATE * 3 // 2 + updates * SAMPLE_RATE // 5) // HOP
    sound = np.resize(voice, hops * HOP)
    filled = max(WINDOWS_S) * SAMPLE_RATE * 3 // 2 // HOP * HOP
    for session in sessions.values():
        for at in range(0, filled, HOP):
            session.feed(sound[at : at + HOP], behind=True)  # most estimates are left out while the windows fill
    full = 0
    for at in range(filled, len(sound), HOP):
        spent = {}
        for key, session in sessions.items():
            began = time.perf_counter_ns()
            events = session.feed(sound[at : at + HOP])
            took = time.perf_counter_ns() - began
            faces = [event for event in events if isinstance(event, FaceEstimated)]
            if any(isinstance(event, SpeakerChanged) for event in events):
                raise RuntimeError("a speaker change was reported in the benchmark's voice")
            if len(faces) == 1 and faces[0].estimate.frames >= key[1] * 100:
                spent[key] = took / 1e6, faces[0].estimate.stages_ns["encoder"] / 1e6
        if len(spent) == len(sessions):
            full += 1
            if full > 10:  # the first ones still warm up, and fill what the incremental way remembers
                for key, pair in spent.items():
                    times[key].append(pair)
        if full == updates + 10:
            break
    rows: dict[str, Any] = {}
    for name in ways:
        row: dict[str, Any] = {}
        for seconds in WINDOWS_S:
            whole_ms, encoder_ms = np.array(times[name, seconds]).T
            row[f"{seconds}_s"] = {
                "update_ms": _spread(whole_ms),
                "encoder_ms": _spread(encoder_ms),
            }
        row["growth_2_s_to_8_s"] = {
            part: _paired(times[name, 8], times[name, 2], column) for column, part in enumerate(("update", "encoder"))
        }
        rows[name] = row
    return {"updates": len(times["exact", 8]), "ways": rows}


def _spread(values: NDArray[np.float64]) -> dict[str, float]:
    return {"p50": round(float(np.median(values)), 3), "p10": round(float(np.quantile(values, 0.1)), 3)}


def _paired(long: list[tuple[float, float]], short: list[tuple[float, float]], column: int) -> float:
    """Median of the ratios within a hop."""
    ratios = [a[column] / b[column] for a, b in zip(long, short, strict=True)]
    return round(float(np.median(ratios)), 3)


class Compared(IncrementalEstimator):
    """An incremental estimator that at some updates also makes the exact estimate and records their distance."""

    def __init__(self, whole: FaceEstimator) -> None:
        super().__init__(whole)
        self._whole = whole
        self._calls = 0
        self._before: tuple[Estimate, Estimate] | None = None
        self.rows: list[dict[str, float]] = []

    def estimate(
        self, speech: Speech, before: Estimate | None = None, image_reuse_distance: float = 0.0, *, timer: StageTimer
    ) -> Estimate:
        """The incremental estimate, with an image of its own."""
        ours = super().estimate(speech, timer=timer)
        turn = self._calls % EVERY
        self._calls += 1
        if turn > 1:
            return ours
        exact = self._whole.estimate(speech)
        if turn == 0:
            self._before = ours, exact
            self.rows.append(self._row(speech, ours, exact))
        elif self.rows and self._before is not None and speech.voiced_seconds > SETTLED_S:
            self.rows[-1] |= {
                "incremental_to_the_one_before": _cosine(ours, self._before[0]),
                "exact_to_the_one_before": _cosine(exact, self._before[1]),
            }
        return ours

    def _row(self, speech: Speech, ours: Estimate, exact: Estimate) -> dict[str, float]:
        error = (ours.image.astype(float) - exact.image) / 255
        row = {
            "frames": len(speech.log_mel),
            "first": speech.window.first,
            "blocks": self._encoder.encoded,
            "cosine": _cosine(ours, exact),
            "mesh_mm": float(np.sqrt(((ours.vertices - exact.vertices) ** 2).sum(1).mean())),
            "picture_db": float(-10 * np.log10(max(float((error**2).mean()), 1e-15))),
            "confidence": abs(ours.confidence - exact.confidence),
        }
        if len(speech.log_mel) >= NEWEST + BEFORE:
            weights = self._whole.speaker_change
            network = SpeakerEmbeddingNetwork(weights.layers)
            ours_, exact_ = (
                evidence(Differences(network).measure(speech, estimate.frame_embeddings), weights)
                for estimate in (ours, exact)
            )
            row["evidence"] = abs(ours_ - exact_)
        return row


def _cosine(one: Estimate, other: Estimate) -> float:
    return float(one.embedding @ other.embedding)


def streams(recordings: list[Samples]) -> Iterator[tuple[str, Samples]]:
    """Each recording alone, in pieces with pauses between, and after another's."""
    rng = np.random.default_rng(5)
    for number, sound in enumerate(recordings):
        yield "one voice", sound
        parts: list[Samples] = []
        for at in range(0, len(sound), 3 * SAMPLE_RATE // 2):
            pause = round(rng.uniform(0.4, 1.0) * SAMPLE_RATE)
            parts += [sound[at : at + 3 * SAMPLE_RATE // 2], np.rint(rng.normal(0, 4, pause)).astype(np.int16)]
        yield "with pauses", np.concatenate(parts)
        yield "after another voice", np.concatenate([recordings[number - 1][: 5 * SAMPLE_RATE], sound])


def agreement(whole: FaceEstimator, recordings: list[Samples]) -> dict[str, Any]:
    """Distance of incremental estimates from exact ones of the same window."""
    found: dict[str, list[dict[str, float]]] = {}
    changes = 0
    for kind, sound in streams(recordings):
        session = LiveSession(whole, LiveConfig(hop=HOP, mode="incremental", image_reuse_distance=0.0))
        compared = Compared(whole)
        session._estimator = session._incremental = compared
        events = session.feed(sound) + session.finish()
        failed = [event.message for event in events if isinstance(event, EngineFailed)]
        if failed:
            raise RuntimeError(f"{kind}: {failed[0]}")
        changes += sum(isinstance(event, SpeakerChanged) for event in events)
        found.setdefault(kind, []).extend(compared.rows)
    rows = [row for kind in found.values() for row in kind]
    settled = [row for row in rows if row["frames"] >= 100 * SETTLED_S]
    kinds = {
        "1_s_to_3_s": [row for row in rows if row["frames"] < 100 * SETTLED_S],
        "from_3_s": settled,
        "from_3_s_to_8_s": [row for row in settled if row["frames"] < 800],
        "full_8_s": [row for row in settled if row["frames"] >= 800],
        **{
            f"from_3_s_{kind.replace(' ', '_')}": [row for row in part if row["frames"] >= 100 * SETTLED_S]
            for kind, part in found.items()
        },
    }
    return {
        "recordings": len(recordings),
        "speaker_changes": changes,
        **{name: _figures(part) for name, part in kinds.items()},
        "decisions": {
            "confidence_p99": _quantile(rows, "confidence", 0.99),
            "evidence_of_another_speaker_p50": _quantile(rows, "evidence", 0.5),
            "evidence_of_another_speaker_p99": _quantile(rows, "evidence", 0.99),
        },
    }


def _figures(rows: list[dict[str, float]]) -> dict[str, Any]:
    cosine = np.array([row["cosine"] for row in rows])
    return {
        "estimates": len(rows),
        "blocks": round(float(np.mean([row["blocks"] for row in rows])), 1),
        "cosine": {
            "mean": round(float(cosine.mean()), 5),
            "p1": round(float(np.quantile(cosine, 0.01)), 5),
            "least": round(float(cosine.min()), 5),
            "share_below_0.995": round(float((cosine < 0.995).mean()), 4),
        },
        "mesh_mm": {"p50": _quantile(rows, "mesh_mm", 0.5), "p99": _quantile(rows, "mesh_mm", 0.99)},
        "picture_db": {"p50": _quantile(rows, "picture_db", 0.5), "p1": _quantile(rows, "picture_db", 0.01)},
        "cosine_to_the_estimate_before": {
            name: {"mean": _mean(rows, f"{name}_to_the_one_before"), "p1": _quantile(rows, f"{name}_to_the_one_before", 0.01)}
            for name in ("exact", "incremental")
        },
    }  # fmt: skip


def _quantile(rows: list[dict[str, float]], key: str, share: float) -> float | None:
    values = [row[key] for row in rows if key in row]
    return round(float(np.quantile(values, share)), 5) if values else None


def _mean(rows: list[dict[str, float]], key: str) -> float | None:
    values = [row[key] for row in rows if key in row]
    return round(float(np.mean(values)), 5) if values else None


def main() -> None:
    """Runs the benchmark and records it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=150, help="at each window, of each way")
    parser.add_argument("--recordings", type=int, default=52, help="of as many speakers")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    shared = Path(os.environ.get("VOXFACE_SHARED", "../shared/data"))
    held = {r.speaker: r.path for r in librispeech(shared / "speech" / "librispeech") if r.held_out}
    with FaceEstimator(threads=1) as whole:
        whole.warm_up()
        measured = {
            "load_average_before": round(load, 2),
            **APPROXIMATIONS[whole.bundle.front_end.normalisation]._asdict(),
            "cost": costs(whole, options.updates),
        }
        sounds = [np.concatenate(list(read_blocks(path)))[: 14 * SAMPLE_RATE] for path in list(held.values())]
        measured["agreement"] = agreement(whole, sounds[: options.recordings])
    record("incremental", "python -m benchmarks.incremental", measured)


if __name__ == "__main__":
    main()
