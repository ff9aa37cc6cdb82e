"""Makes a profile: loads a bundle, lets it hear something at a fixed rate or a microphone, and reports."""

import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import GRAPHS, Bundle
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.inference.voice_to_face import VoiceToFace
from voxface.runtime.live.audio_input import Audio
from voxface.runtime.live.block import Block
from voxface.runtime.live.clock import Clock, SystemClock
from voxface.runtime.live.events import FaceEstimated
from voxface.runtime.live.microphone import Microphone
from voxface.runtime.live.pipeline import STAGES, Pipeline
from voxface.runtime.live.runner import run_threaded
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.sink_worker import SinkEvent, SinkWorker
from voxface.runtime.live.stop import Stop
from voxface.runtime.profile.allocations import count_allocations
from voxface.runtime.profile.machine import jitter, read_bandwidth, resident_mb, this_machine
from voxface.runtime.profile.paced import Loop, Paced, lead_in, run_paced
from voxface.runtime.profile.report import Reading, Report, Scaling, Settings
from voxface.runtime.profile.synthetic_voice import SYLLABLE_S, synthetic_voice
from voxface.runtime.profile.update_times import UpdateTimes
from voxface.runtime.timing.histogram import Histogram
from voxface.runtime.timing.trace import MOST_SPANS, Span, Trace

SYNTHETIC: Final = "synthetic voice"
MICROPHONE: Final = "microphone"
SYNTHETIC_S: Final = 30 * SYLLABLE_S
ORDER: Final = (*STAGES, "tell")
ROUNDS: Final = 12  # of each number of threads


@dataclass(frozen=True)
class ProfileSetup:
    """What is to be measured.

    Attributes:
        bundle: its path; None: the default one.
        provider, threads: where it runs.
        config: when it estimates; one update each hop.
        seconds: how long.
    """

    bundle: Path | None
    provider: str
    threads: int
    config: LiveConfig
    seconds: float


class Profiler:
    """A bundle loaded for a profile, and all that is found out about it. A context manager that frees the engines.

    Attributes:
        plan, bundle, voice_to_face: what is measured.
        trace: where spans are collected.
        spans, dropped: those kept for a trace to be written, and how many there were beyond the most that are kept.
    """

    def __init__(self, plan: ProfileSetup, imported: tuple[int, int], *, keep_spans: bool = False) -> None:
        """Loads and warms up.

        Args:
            imported: when the imports began and ended, nanoseconds of `time.perf_counter_ns`.
            keep_spans: for a trace to be written; else they are summed up and forgotten.

        Raises:
            BundleError, ProviderError, UsageError: see `VoiceToFace`.
        """
        self.plan = plan
        self.trace = Trace()
        self.spans: list[Span] = []
        self.dropped = 0
        self._keep = keep_spans
        self._cold: dict[str, float] = {}
        self._times = UpdateTimes()
        self.trace.add("import", *imported)
        self._cold["import"] = (imported[1] - imported[0]) / 1e6
        with self._step("bundle"):
            self.bundle = Bundle.open(plan.bundle)
        with self._step("engines"):
            self.voice_to_face = VoiceToFace(self.bundle, plan.provider, threads=plan.threads, trace=self.trace)
        try:
            with self._step("warm_up"):
                self.voice_to_face.warm_up()
        except BaseException:
            self.voice_to_face.__exit__(None, None, None)
            raise

    def __enter__(self) -> "Profiler":
        return self

    def __exit__(self, *error: object) -> None:
        self.voice_to_face.__exit__(None, None, None)

    def settings(self, source: str, sha256: str | None = None) -> Settings:
        """What is measured, with this sound; `sha256`: the digest of its file."""
        config = self.plan.config
        return Settings(
            bundle=self.bundle.name,
            bundle_sha256=str(self.bundle.manifest["sha256"]),
            provider=self.voice_to_face.provider,
            threads=self.plan.threads,
            mode=config.mode,
            source=source,
            source_sha256=sha256,
            updates_per_second=SAMPLE_RATE / config.hop,
            window_s=config.window / SAMPLE_RATE,
        )

    def paced(
        self,
        samples: NDArray[np.int16] | None,
        source: str,
        *,
        sha256: str | None = None,
        stop: Stop | None = None,
        watch: Callable[[], None] = lambda: None,
        clock: Clock | None = None,
    ) -> Report:
        """Lets it hear samples int16 [n] at 16 kHz (None: a synthetic voice), again and again, at a fixed rate.

        Args:
            source, sha256: what they are, and the digest of their file.
            stop: may end it early.
            watch: called after each update.

        Raises:
            NoSpeechError: no face came of them.
        """
        clock, stop = clock or SystemClock(), stop or Stop()
        config = self.plan.config
        samples = synthetic_voice(SYNTHETIC_S) if samples is None else samples
        if not len(samples):
            raise NoSpeechError(f"{source}: no samples, so no face to measure")
        loop = Loop(samples, config.hop, source)
        pipeline = self._pipeline(clock)
        with self.trace.span("lead-in"):
            filled = lead_in(pipeline, loop, stop=stop, watch=self.drain)
        self._cold["first_update"] = self._times.first_ns / 1e6
        self._times = UpdateTimes()
        steady = jitter()

        def after() -> None:
            self.drain()
            watch()

        blocks = max(1, round(self.plan.seconds * SAMPLE_RATE / config.hop))
        found = run_paced(pipeline, loop, clock, blocks, stop=stop, watch=after)
        memory = resident_mb()
        settings = self.settings(source, sha256)
        return self._report(
            settings, pipeline, found.response, steady, memory, loop, stop, paced=found, window_filled_s=filled
        )

    def microphone(
        self, microphone: Microphone, stop: Stop, *, clock: Clock, watch: Callable[[], None] = lambda: None
    ) -> Report:
        """Hears a microphone as `voxface live` does, threads, queue and all, and what it leaves out under load.

        Raises:
            ProviderError: the device does not open.
            NoSpeechError: no face came of what was heard.
        """
        steady = jitter()
        pipeline = self._pipeline(clock)
        pipeline.sink_workers.append(
            SinkWorker(_Drain(self, watch), clock, "thread", pipeline.budget.stages["sink"].add)
        )
        source = _TracedSource(microphone, self.trace)
        began, busy = clock.now_ns(), time.process_time_ns()
        run_threaded(source, pipeline, clock, stop, [], limit_s=self.plan.seconds)
        wall, busy = clock.now_ns() - began, time.process_time_ns() - busy
        memory = resident_mb()
        self.drain()
        if pipeline.last is None:
            why = pipeline.session.reason or "no speech found"
            raise NoSpeechError(
                f"{microphone.device.name}: no face in {pipeline.heard_s:.1f} s ({why}); speak, or give --source"
            )
        self._cold["first_update"] = self._times.first_ns / 1e6
        response = pipeline.budget.stages["total"]
        loop = Loop(synthetic_voice(SYNTHETIC_S), self.plan.config.hop, SYNTHETIC)
        settings = self.settings(MICROPHONE)
        return self._report(
            settings, pipeline, response, steady, memory, loop, stop,
            wall_ns=wall, cpu_ns=busy, device=microphone.to_json(),
        )  # fmt: skip

    def _report(
        self,
        settings: Settings,
        pipeline: Pipeline,
        response: Histogram,
        steady: float,
        memory: dict[str, float | None],
        loop: Loop,
        stop: Stop,
        *,
        window_filled_s: float | None = None,
        paced: Paced | None = None,
        wall_ns: int = 0,
        cpu_ns: int = 0,
        device: dict[str, Any] | None = None,
    ) -> Report:
        times = self._times
        if not times.service.count:
            raise NoSpeechError(
                f"{settings.source}: no face within {self.plan.seconds:g} s to measure; give more --seconds, or a source with "
                "more speech"
            )
        wall_ns = paced.wall_ns if paced else wall_ns
        counters, budget = pipeline.counters.to_json(), pipeline.budget.stages  # before more is heard
        self.trace.recording = False
        if paced is None:
            pipeline = self._pipeline(SystemClock())
            lead_in(pipeline, loop)
        allocations = count_allocations(pipeline, loop)
        kernels, outside = times.kernels.percentile_ns(0.5), times.outside.percentile_ns(0.5)
        cold = {**self._cold, "total": sum(self._cold.values())}
        return Report(
            settings=settings,
            machine=this_machine(),
            versions=_versions(),
            cold_start_ms=cold,
            seconds=wall_ns / 1e9,
            seconds_asked=self.plan.seconds,
            ended=stop.early,
            window_filled_s=window_filled_s,
            updates=times.service.count,
            quiet_blocks=times.quiet.count,
            response_ms=response.milliseconds(),
            service_ms=times.service.milliseconds(),
            stages_ms={name: times.stages[name].milliseconds() for name in ORDER if name in times.stages},
            waiting_ms={} if paced else {name: budget[name].milliseconds() for name in ("capture", "queue")},
            engines_ms={name: runs.milliseconds() for name, runs in times.engines.items()},
            engine_runs={name: runs.count for name, runs in times.engines.items()},
            parts_ms={name: part.milliseconds() for name, part in times.parts.items()},
            staged=times.staged_ns / max(1, times.service.total_ns),
            outside_ms=outside / 1e6,
            overhead=outside / max(1, kernels),
            utilisation=paced.busy_ns / max(1, paced.blocks * paced.period_ns) if paced else None,
            late_ms=[ns / 1e6 for ns in paced.late_ns] if paced else [],
            cpu=(paced.cpu_ns if paced else cpu_ns) / max(1, wall_ns),
            idle_cpu=paced.idle_cpu_ns / paced.idle_wall_ns if paced and paced.idle_wall_ns else None,
            memory_mb=memory,
            allocations=allocations,
            counters=counters,
            jitter=steady,
            scaling=self._scaling(),
            readings=self._readings(times),
            device=device,
        )

    def _pipeline(self, clock: Clock) -> Pipeline:
        session = LiveSession(
            self.voice_to_face,
            self.plan.config,
            features=self.bundle.front_end,
            vad=self.bundle.vad,
            trace=self.trace,
        )
        return Pipeline(session, clock, [SinkWorker(_Mesh(self.trace), clock, "here", lambda _: None)])

    def _scaling(self) -> Scaling | None:
        """Times one estimate with all threads and with half of them, in turns."""
        half = self.plan.threads // 2
        if not half or self.voice_to_face.provider != "cpu":
            return None
        speech = self.voice_to_face.listen([synthetic_voice(self.plan.config.window / SAMPLE_RATE)])
        times: dict[int, list[int]] = {self.plan.threads: [], half: []}
        busy = took = 0
        with VoiceToFace(self.bundle, self.plan.provider, threads=half) as other:
            for round_ in range(ROUNDS + 2):
                for threads, face in ((self.plan.threads, self.voice_to_face), (half, other)):
                    began, used = time.perf_counter_ns(), time.process_time_ns()
                    face.estimate(speech)
                    wall, used = time.perf_counter_ns() - began, time.process_time_ns() - used
                    if round_ < 2:
                        continue
                    times[threads].append(wall)
                    if threads != half:
                        busy, took = busy + used, took + wall
        return Scaling(half, statistics.median(times[half]) / statistics.median(times[self.plan.threads]), busy / took)

    def _readings(self, times: UpdateTimes) -> list[Reading]:
        """The graphs' weights, as many bytes as their files have at least, and the morphable model's basis."""
        wanted: list[tuple[str, int, Histogram | None]] = []
        if self.voice_to_face.provider == "cpu":
            wanted += [(f"{name} graph", len(self.bundle.graph(name)), times.engines.get(name)) for name in GRAPHS]
        wanted.append(("mesh decode", self.voice_to_face.morphable.basis.nbytes, times.parts.get("mesh.decode")))
        return [
            Reading(what, size / 1e6, size / max(1, took.percentile_ns(0.5)), read_bandwidth(size) / 1e9)
            for what, size, took in wanted
            if took is not None
        ]

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = self.trace.now_ns()
        yield
        ended = self.trace.now_ns()
        self.trace.add(name, began, ended)
        self._cold[name] = (ended - began) / 1e6

    def drain(self) -> None:
        """Sums up the spans so far."""
        spans = self.trace.drain()
        self._times.add(spans)
        if self._keep:
            room = max(0, MOST_SPANS - len(self.spans))
            self.spans += spans[:room]
            self.dropped += len(spans[room:])


class _Mesh:
    """A sink that wants the mesh of every face, as a window does; it is made when somebody asks for it."""

    name = "mesh"
    keeps_all = True
    wants_audio = False

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def audio(self, audio: Audio) -> None:
        """Not wanted."""

    def event(self, told: SinkEvent) -> None:
        """Asks for the mesh."""
        if isinstance(told.event, FaceEstimated):
            with self._trace.span("mesh.decode"):
                _ = told.event.estimate.vertices

    def close(self) -> None:
        """Nothing is held."""


class _Drain:
    """A sink that sums the trace up while it grows, on a thread of its own."""

    name = "profile"
    keeps_all = True
    wants_audio = False

    def __init__(self, profiler: Profiler, watch: Callable[[], None]) -> None:
        self._profiler, self._watch = profiler, watch

    def audio(self, audio: Audio) -> None:
        """Not wanted."""

    def event(self, told: SinkEvent) -> None:
        """Something happened, so there is something to sum up."""
        with self._profiler.trace.span("sink"):
            self._profiler.drain()
            self._watch()

    def close(self) -> None:
        """The rest is summed up by whoever runs the profile."""


class _TracedSource:
    """A source whose deliveries are spans; a device delivers from a thread of its own."""

    def __init__(self, source: Microphone, trace: Trace) -> None:
        self._source, self._trace, self._named = source, trace, False

    def run(self, deliver: Callable[[Block], None], stop: Stop) -> None:
        """Delivers what the source does."""

        def traced(block: Block) -> None:
            if not self._named:
                self._trace.name_thread("microphone")
                self._named = True
            with self._trace.span("deliver"):
                deliver(block)

        self._source.run(traced, stop)


def _versions() -> dict[str, str]:
    from voxface import __version__

    modules = {name: sys.modules.get(name) for name in ("numpy", "onnxruntime")}
    found = {name: str(module.__version__) for name, module in modules.items() if module is not None}
    return {"voxface": __version__, "python": platform.python_version(), **found}
