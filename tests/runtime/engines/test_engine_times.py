"""Engines measured, on virtual time, and the choice that follows: cached for a bundle and a machine, and never in the way."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines import engine_times
from voxface.runtime.engines.choice import ASKED, CHANGED, MEASURED, NOT_MEASURED, choose, in_words
from voxface.runtime.engines.engine_times import EngineTime, EngineTimes, keep, kept, this_machine
from voxface.runtime.engines.measurement import MEASURED as MEASURABLE
from voxface.runtime.engines.measurement import PRECISE, REST_S, measure
from voxface.runtime.errors import BundleError, ProviderError, UsageError
from voxface.runtime.files.cache_folder import ENGINE_TIMES
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.voice_to_face import VoiceToFace

Key = tuple[str, int]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("voxface.runtime.engines.measurement.usable_cores", lambda: 2)
    return tmp_path / "cache" / "voxface"


class Clock:
    """Virtual seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def rest(self, seconds: float) -> None:
        assert seconds == REST_S
        self.now += seconds


class Fake:
    """An engine that takes a fixed time, and is off by some share."""

    def __init__(self, clock: Clock, name: str, ms: float, off: float) -> None:
        self._clock, self._name, self._ms, self._off = clock, name, ms, off
        self.inputs: dict[str, TensorSpec] = {}
        self.outputs: dict[str, TensorSpec] = {}
        self.provider = "fake"
        self.closed = False

    def run(self, feeds: Mapping[str, Any], out: Any = None) -> dict[str, Any]:
        assert not self.closed
        self._clock.now += self._ms / 3e3
        unit = np.zeros((1, 64), np.float32)
        unit[0, 0], unit[0, 1] = np.cos(self._off), np.sin(self._off)
        return {
            "encoder": {"embedding": unit},
            "face": {"image": np.full((1, 3, 128, 128), self._off, np.float32)},
            "mesh": {"coefficients": np.full((1, 50), self._off, np.float32)},
        }[self._name]

    def warm_up(self, lengths: dict[str, int] | None = None) -> None:
        raise AssertionError

    def __enter__(self) -> "Fake":
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True


def opener(
    clock: Clock, ms: Mapping[Key, float], off: Mapping[Key, float], made: list[Fake]
) -> Callable[..., dict[str, Any]]:
    def open_engines(bundle: Bundle, names: Any, provider: str, *, threads: int) -> dict[str, Fake]:
        if (provider, threads) not in ms:
            raise ProviderError(f"no {provider} here")
        engines = {name: Fake(clock, name, ms[provider, threads], off.get((provider, threads), 0.0)) for name in names}
        made.extend(engines.values())
        return engines

    return open_engines


def measured(
    bundle: Bundle, ms: Mapping[Key, float], off: Mapping[Key, float] | None = None, made: list[Fake] | None = None
) -> EngineTimes:
    clock = Clock()
    return measure(
        bundle, clock=clock, rest=clock.rest, open_engines=opener(clock, ms, off or {}, [] if made is None else made)
    )


CASES: dict[str, tuple[dict[Key, float], dict[Key, float], Key]] = {
    "one thread where two are slower": ({("cpu", 1): 10, ("cpu", 2): 20}, {}, ("cpu", 1)),
    "two where they gain a tenth": ({("cpu", 1): 10, ("cpu", 2): 9.0}, {}, ("cpu", 2)),
    "one where two gain less": ({("cpu", 1): 10, ("cpu", 2): 9.2}, {}, ("cpu", 1)),
    "the other library": ({("cpu", 1): 10, ("cpu", 2): 20, ("openvino", 1): 8, ("openvino", 2): 7.9}, {}, ("openvino", 1)),
    "not for one per cent": ({("cpu", 1): 10, ("cpu", 2): 20, ("openvino", 1): 9.9, ("openvino", 2): 20}, {}, ("cpu", 1)),
    "not if it errs": (
        {("cpu", 1): 10, ("cpu", 2): 20, ("openvino", 1): 5, ("openvino", 2): 6}, {("openvino", 1): 0.1}, ("openvino", 2)
    ),
    "not a NaN": ({("cpu", 1): 10, ("cpu", 2): 20, ("cuda", 1): 1}, {("cuda", 1): float("nan")}, ("cpu", 1)),
    "BF16 is for those who ask": ({("cpu", 1): 10, ("cpu", 2): 20, ("openvino-bf16", 1): 1}, {}, ("cpu", 1)),
    "a GPU": ({("cpu", 1): 10, ("cpu", 2): 6, ("cuda", 1): 1}, {}, ("cuda", 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_measured_best_is_chosen(default_bundle: Bundle, name: str) -> None:
    ms, off, best = CASES[name]
    made: list[Fake] = []
    times = measured(default_bundle, ms, off, made)
    assert {(one.provider, one.threads): pytest.approx(one.ms) for one in times.times} == ms
    fastest = times.fastest()
    assert fastest is not None
    assert (fastest.provider, fastest.threads) == best
    assert all(engine.closed for engine in made)
    there = {provider for provider, _ in ms}
    assert (
        {"openvino", "openvino-gpu", "cuda", "tensorrt-rtx"} - there <= times.left_out.keys() <= {*MEASURABLE} - {"cpu"}
    )
    keep(times)
    assert choose(default_bundle, "auto", None) == (*best, MEASURED)
    assert choose(default_bundle, "cpu", None).threads == (2 if ms["cpu", 2] * 1.1 < ms["cpu", 1] else 1)


def test_what_was_asked_for_is_not_changed(default_bundle: Bundle) -> None:
    keep(measured(default_bundle, {("cpu", 1): 10, ("cpu", 2): 5, ("openvino", 1): 4, ("openvino", 2): 9}))
    assert choose(default_bundle, "auto", None) == ("openvino", 1, MEASURED)
    assert choose(default_bundle, "auto", 2) == ("cpu", 2, MEASURED), "the best with so many threads"
    assert choose(default_bundle, "auto", 7) == ("openvino", 7, MEASURED), "so many were not measured"
    assert choose(default_bundle, "cpu", 1) == ("cpu", 1, ASKED)
    assert choose(default_bundle, "cpu", None) == ("cpu", 2, MEASURED)
    assert choose(default_bundle, "cuda", None) == ("cuda", 1, ASKED), "threads are the CPU's"
    with pytest.raises(UsageError, match="0 threads"):
        choose(default_bundle, "auto", 0)
    assert in_words(choose(default_bundle, "auto", 2)) == "on cpu, 2 threads (measured)"


def test_without_a_measurement_it_is_as_if_there_were_no_auto(default_bundle: Bundle, cache: Path) -> None:
    assert choose(default_bundle, "auto", None) == ("cpu", 1, NOT_MEASURED)
    assert choose(default_bundle, "cpu", None) == ("cpu", 1, NOT_MEASURED)
    assert choose(default_bundle, "auto", 3) == ("cpu", 3, NOT_MEASURED)
    with FaceEstimator(default_bundle, "auto") as face_estimator:
        assert (face_estimator.provider, face_estimator.choice.threads) == ("cpu", 1)
    assert not cache.exists(), "nothing is written unless it was asked for"


def test_it_counts_for_this_bundle_machine_and_libraries_alone(
    default_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    keep(measured(default_bundle, {("cpu", 1): 10, ("cpu", 2): 5}))
    other = default_bundle.replacing(name="another")
    assert choose(other, "auto", None).why == NOT_MEASURED
    for name, value in (
        ("usable_cores", 64),
        ("processor_name", "another"),
        ("instruction_sets", ("AMX",)),
        ("_version", "9"),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(engine_times, name, lambda *_, value=value: value)
            assert choose(default_bundle, "auto", None) == ("cpu", 1, CHANGED)
            keep(replace(measured(default_bundle, {("cpu", 1): 10, ("cpu", 2): 20}), machine=this_machine()))
            assert choose(default_bundle, "auto", None) == ("cpu", 1, MEASURED)
    assert choose(default_bundle, "auto", None) == ("cpu", 2, MEASURED), "this machine's are still there"
    assert len(list((cache / ENGINE_TIMES).iterdir())) == 5


@pytest.mark.parametrize("damage", ["cut", "edited", "newer", "large", "folder", "text", "other fields"])
def test_a_damaged_file_is_as_good_as_none(default_bundle: Bundle, damage: str) -> None:
    path = keep(measured(default_bundle, {("cpu", 1): 10, ("cpu", 2): 5}))
    text = path.read_text()
    if damage == "cut":
        path.write_text(text[: len(text) // 2])
    elif damage == "edited":
        path.write_text(text.replace('"threads": 2', '"threads": 3'))
    elif damage == "newer":
        path.write_text(json.dumps({"schema": 2}))
    elif damage == "large":
        path.write_text(text + " " * engine_times.LARGEST_FILE)
    elif damage == "folder":
        path.unlink()
        path.mkdir()
    elif damage == "text":
        path.write_bytes(b"\xff\xfe")
    else:
        path.write_text(json.dumps([1, 2]))
    assert kept(str(default_bundle.manifest.sha256)) == (None, True)
    assert choose(default_bundle, "auto", None) == ("cpu", 1, CHANGED)


def test_what_is_kept_comes_back_whole(default_bundle: Bundle) -> None:
    times = measured(default_bundle, {("cpu", 1): 10, ("cpu", 2): 5, ("cuda", 1): 3}, {("cuda", 1): 0.001})
    keep(times)
    assert kept(times.bundle)[0] == times
    assert times.precise == PRECISE
    (cuda,) = (one for one in times.times if one.provider == "cuda")
    assert cuda == EngineTime(
        "cuda", 1, pytest.approx(3), True, pytest.approx(1, abs=1e-5), pytest.approx(66, abs=1), cuda.vertex_mm
    )  # type: ignore[arg-type]
    assert 0 < cuda.vertex_mm < 0.05


def test_a_calibrated_bundle_has_its_own_tolerances(default_bundle: Bundle) -> None:
    from voxface.runtime.bundle.precision_entries import CalibratedPrecision, PrecisionEntry

    ms = {("cpu", 1): 10.0, ("cpu", 2): 20.0, ("cuda", 1): 1.0}
    off = {("cuda", 1): 0.02}  # cosine 0.9998, 40 dB
    assert not measured(default_bundle, ms, off).times[-1].agrees
    for cosine, agrees in ((0.999, True), (0.99999, False)):
        limits = {"cosine": cosine, "psnr_db": 35.0, "vertex_mm": 10.0}
        calibrated = CalibratedPrecision(mode="int8", tolerances=limits, nodes={})
        bundle = default_bundle.replacing(precision=PrecisionEntry(calibrated=calibrated))
        assert measured(bundle, ms, off).times[-1].agrees is agrees


def test_a_bundle_that_cannot_be_used_is_an_error(default_bundle: Bundle) -> None:
    def refuse(*_: object, **__: object) -> dict[str, Any]:
        raise BundleError("its graphs are none")

    with pytest.raises(BundleError, match="its graphs are none"):
        measure(default_bundle, open_engines=refuse)


def test_what_auto_chose_and_does_not_load_is_an_error(default_bundle: Bundle) -> None:
    """A GPU that was taken out, or a plugin. Nothing falls back silently."""
    keep(measured(default_bundle, {("cpu", 1): 10, ("cpu", 2): 20, ("openvino-gpu", 1): 1}))
    with pytest.raises(ProviderError, match="; auto chose it, `voxface doctor --measure` chooses anew"):
        VoiceToFace(default_bundle, "auto")


def test_engines_are_measured_as_they_are(default_bundle: Bundle) -> None:
    clock = Clock()  # its time stands still between rests
    times = measure(default_bundle, ("cpu",), rounds=1, clock=clock, rest=clock.rest)
    assert [(one.provider, one.threads, one.ms) for one in times.times] == [("cpu", 1, 0), ("cpu", 2, 0)]
    assert all(one.agrees and one.cosine > 0.999999 for one in times.times)
