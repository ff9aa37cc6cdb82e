"""Makes a profile: loads a bundle, feeds it sound at a fixed rate or from a microphone, and reports the times."""

import hashlib
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
from voxface.runtime.engines.providers import ON_CPU
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.live.audio_input import Audio
from voxface.runtime.live.block import Block
from voxface.runtime.live.clock import Clock, SystemClock
from voxface.runtime.live.events import FaceEstimated
from voxface.runtime.live.microphone import Microphone
from voxface.runtime.live.pipeline import STAGES, Pipeline
from voxface.runtime.live.runner import run_threaded
from voxface.runtime.live.sink_worker import SinkEvent, SinkWorker
from voxface.runtime.live.stop import Stop
from voxface.runtime.live.summary import why_no_face
from voxface.runtime.profile.allocations import count_allocations
from voxface.runtime.profile.energy import EnergyMeter
from voxface.runtime.profile.machine import jitter, read_bandwidth, resident_mb, this_machine
from voxface.runtime.profile.paced import Loop, Paced, lead_in, run_paced
from voxface.runtime.profile.report import Reading, Report, Scaling, Settings
from voxface.runtime.profile.synthetic_voice import SYLLABLE_S, synthetic_voice
from voxface.runtime.profile.update_times import UpdateTimes
from voxface.runtime.timing.histogram import Histogram
from voxface.runtime.timing.trace import MOST_SPANS, Span, Trace
from voxface.runtime.version import __version__
from voxface.runtime.voice_to_face import VoiceToFace

SYNTHETIC: Final = "synthetic voice"
MICROPHONE: Final = "microphone"
SYNTHETIC_S: Final = 30 * SYLLABLE_S
ORDER: Final = (*STAGES, "tell")
ROUNDS: Final = 12  # estimates measured with each number of threads


@dataclass(frozen=True)
class ProfileSetup:
    """The setup of a profile: what to measure.

    Attributes:
        bundle: path of the bundle; None: the default bundle.
        provider, threads: provider of the engines, and threads of an engine on the CPU; see
            `voxface.runtime.engines.choice.choose`.
        config: settings of the live session; there is one update each hop.
        seconds: length of the measurement.
    """

    bundle: Path | None
    provider: str
    threads: int | None
    config: LiveConfig
    seconds: float


def _precision(bundle: Bundle) -> str:
    entry = bundle.manifest.precision
    storage, arithmetic = (entry.storage, entry.arithmetic) if entry else (None, None)
    return f"{storage or 'float32'} weights, {arithmetic or 'float32'} arithmetic"


def _lineage(bundle: Bundle) -> list[str]:
    """See `voxface.runtime.profile.report.Settings`."""
    graphs = hashlib.sha256("".join(bundle.graph_digests().values()).encode()).hexdigest()
    entry = bundle.manifest.precision
    source = entry.calibrated.source if entry and entry.calibrated else None
    known = (bundle.manifest.sha256, graphs, source.sha256 if source else None)
    return [digest for digest in known if digest]


class Profiler:
    """A bundle loaded for a profile, and what has been measured of it. A context manager that frees the engines.

    Attributes:
        setup, bundle, voice_to_face: what is measured.
        trace: collects the spans.
        spans: the spans kept for a trace file.
        dropped: number of spans beyond the most that are kept.
    """

    def __init__(self, setup: ProfileSetup, imported: tuple[int, int], *, keep_spans: bool = False) -> None:
        """Loads the bundle and warms it up.

        Args:
            setup: what to measure.
            imported: begin and end of the imports, nanoseconds of `time.perf_counter_ns`.
            keep_spans: whether to keep the spans for a trace file; else they are only summed up.

        Raises:
            BundleError, ProviderError, UsageError: see `VoiceToFace`.
        """
        self.setup = setup
        self.trace = Trace()
        self.spans: list[Span] = []
        self.dropped = 0
        self._keep = keep_spans
        self._cold: dict[str, float] = {}
        self._times = UpdateTimes()
        self.trace.add("import", *imported)
        self._cold["import"] = (imported[1] - imported[0]) / 1e6
        with self._step("bundle"):
            self.bundle = Bundle.open(setup.bundle)
        with self._step("engines"):
            self.voice_to_face = VoiceToFace(self.bundle, setup.provider, threads=setup.threads, trace=self.trace)
        try:
            with self._step("warm_up"):
                self.voice_to_face.warm_up()
        except BaseException:
            self.voice_to_face.close()
            raise

    def __enter__(self) -> "Profiler":
        return self

    def __exit__(self, *error: object) -> None:
        self.voice_to_face.close()

    def settings(self, source: str, sha256: str | None = None) -> Settings:
        """The settings of a measurement with the sound `source`; `sha256`: digest of its file."""
        config = self.setup.config
        return Settings(
            bundle=self.bundle.name,
            bundle_sha256=str(self.bundle.manifest.sha256),
            provider=self.voice_to_face.provider,
            threads=self.voice_to_face.choice.threads,
            mode=config.mode,
            source=source,
            source_sha256=sha256,
            updates_per_second=SAMPLE_RATE / config.hop,
            window_s=config.window / SAMPLE_RATE,
            precision=_precision(self.bundle),
            lineage=_lineage(self.bundle),
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
        """Measures updates at a fixed rate on samples int16 [n] at 16 kHz, repeated (None: a synthetic voice).

        Args:
            source, sha256: name of the sound, and digest of its file.
            stop: may end the measurement early.
            watch: called after each update.
            clock: sets the pace; None: the system clock.

        Raises:
            NoSpeechError: the samples gave no face.
        """
        clock, stop = clock or SystemClock(), stop or Stop()
        config = self.setup.config
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
        energy = EnergyMeter()

        def after() -> None:
            self.drain()
            energy.look()
            watch()

        blocks = max(1, round(self.setup.seconds * SAMPLE_RATE / config.hop))
        found = run_paced(pipeline, loop, clock, blocks, stop=stop, watch=after)
        joules, memory = energy.joules(), resident_mb()
        settings = self.settings(source, sha256)
        return self._report(
            settings, pipeline, found.response, steady, memory, loop, stop,
            paced=found, window_filled_s=filled, joules=joules,
        )  # fmt: skip

    def microphone(
        self, microphone: Microphone, stop: Stop, *, clock: Clock, watch: Callable[[], None] = lambda: None
    ) -> Report:
        """Measures a microphone with the threads and the queue of `voxface live`, and counts what is left out under load.

        Raises:
            ProviderError: the device does not open.
            NoSpeechError: the sound gave no face.
        """
        steady = jitter()
        pipeline = self._pipeline(clock)
        pipeline.sink_workers.append(
            SinkWorker(_Drain(self, watch), clock, "thread", pipeline.stage_histograms.stages["sink"].add)
        )
        source = _TracedSource(microphone, self.trace)
        energy = EnergyMeter()
        began, busy = clock.now_ns(), time.process_time_ns()
        run_threaded(source, pipeline, clock, stop, [], limit_s=self.setup.seconds)
        wall, busy = clock.now_ns() - began, time.process_time_ns() - busy
        joules, memory = energy.joules(), resident_mb()
        self.drain()
        if pipeline.last is None:
            raise NoSpeechError(
                f"{microphone.device.name}: no face in {pipeline.heard_s:.1f} s ({why_no_face(pipeline)}); "
                "speak, or give --source"
            )
        self._cold["first_update"] = self._times.first_ns / 1e6
        response = pipeline.stage_histograms.stages["total"]
        loop = Loop(synthetic_voice(SYNTHETIC_S), self.setup.config.hop, SYNTHETIC)
        settings = self.settings(MICROPHONE)
        return self._report(
            settings, pipeline, response, steady, memory, loop, stop,
            wall_ns=wall, cpu_ns=busy, device=microphone.to_json(), joules=joules,
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
        joules: float | None = None,
    ) -> Report:
        times = self._times
        if not times.service.count:
            raise NoSpeechError(
                f"{settings.source}: no face within {self.setup.seconds:g} s to measure; give more --seconds, or a source with "
                "more speech"
            )
        wall_ns = paced.wall_ns if paced else wall_ns
        counters, waiting = pipeline.counters.to_json(), pipeline.stage_histograms.stages  # before more sound is fed
        self.trace.recording = False
        if paced is None:
            pipeline = self._pipeline(SystemClock())
            lead_in(pipeline, loop)
        allocations = count_allocations(pipeline, loop)
        engine_total, outside = times.engine_total.percentile_ns(0.5), times.outside.percentile_ns(0.5)
        cold = {**self._cold, "total": sum(self._cold.values())}
        return Report(
            settings=settings,
            machine=this_machine(),
            versions=_versions(),
            cold_start_ms=cold,
            seconds=wall_ns / 1e9,
            seconds_asked=self.setup.seconds,
            ended=stop.early,
            window_filled_s=window_filled_s,
            updates=times.service.count,
            quiet_blocks=times.quiet.count,
            response_ms=response.milliseconds(),
            service_ms=times.service.milliseconds(),
            stages_ms={name: times.stages[name].milliseconds() for name in ORDER if name in times.stages},
            waiting_ms={} if paced else {name: waiting[name].milliseconds() for name in ("capture", "queue")},
            engines_ms={name: runs.milliseconds() for name, runs in times.engines.items()},
            engine_runs={name: runs.count for name, runs in times.engines.items()},
            parts_ms={name: part.milliseconds() for name, part in times.parts.items()},
            staged=times.staged_ns / max(1, times.service.total_ns),
            outside_ms=outside / 1e6,
            overhead=outside / max(1, engine_total),
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
            joules=joules,
        )

    def _pipeline(self, clock: Clock) -> Pipeline:
        session = self.voice_to_face.live_session(self.setup.config)
        return Pipeline(session, clock, [SinkWorker(_Drawn(self.trace), clock, "here", lambda _: None)])

    def _scaling(self) -> Scaling | None:
        """Times one estimate with all threads and with half of them, in turn; None where that cannot be done."""
        every = self.voice_to_face.choice.threads
        half = every // 2
        if not half or self.voice_to_face.provider not in ON_CPU:
            return None
        speech = self.voice_to_face.listen([synthetic_voice(self.setup.config.window / SAMPLE_RATE)])
        times: dict[int, list[int]] = {every: [], half: []}
        busy = took = 0
        with VoiceToFace(self.bundle, self.voice_to_face.provider, threads=half) as other:
            for round_ in range(ROUNDS + 2):
                for threads, face in ((every, self.voice_to_face), (half, other)):
                    began, used = time.perf_counter_ns(), time.process_time_ns()
                    face.estimate_speech(speech)
                    wall, used = time.perf_counter_ns() - began, time.process_time_ns() - used
                    if round_ < 2:
                        continue
                    times[threads].append(wall)
                    if threads != half:
                        busy, took = busy + used, took + wall
        return Scaling(half, statistics.median(times[half]) / statistics.median(times[every]), busy / took)

    def _readings(self, times: UpdateTimes) -> list[Reading]:
        """Reading speed of the graphs' weights, counted as the bytes of their files, and of the morphable model's basis."""
        wanted: list[tuple[str, int, Histogram | None]] = []
        if self.voice_to_face.provider in ON_CPU:
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
        """Sums up the spans that the trace has collected."""
        spans = self.trace.drain()
        self._times.add(spans)
        if self._keep:
            room = max(0, MOST_SPANS - len(self.spans))
            self.spans += spans[:room]
            self.dropped += len(spans[room:])


class _Drawn:
    """A sink that computes the mesh and the pixels of every face, as a window does."""

    name = "drawn"
    keeps_all = True
    wants_audio = False

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def audio(self, audio: Audio) -> None:
        """Ignored."""

    def event(self, sink_event: SinkEvent) -> None:
        """Computes the mesh and the pixels of a face."""
        if isinstance(sink_event.event, FaceEstimated):
            estimate = sink_event.event.estimate
            now = self._trace.now_ns
            # Not `Trace.span`, which takes longer, and counts as work outside of engines.
            began, _, decoded, _, ended = now(), estimate.vertices, now(), estimate.image, now()
            self._trace.add("mesh.decode", began, decoded)
            self._trace.add("picture.decode", decoded, ended)

    def close(self) -> None:
        """Nothing to do."""


class _Drain:
    """A sink that sums the trace up while it grows, on a thread of its own."""

    name = "profile"
    keeps_all = True
    wants_audio = False

    def __init__(self, profiler: Profiler, watch: Callable[[], None]) -> None:
        self._profiler, self._watch = profiler, watch

    def audio(self, audio: Audio) -> None:
        """Ignored."""

    def event(self, sink_event: SinkEvent) -> None:
        """Sums up the spans so far."""
        with self._profiler.trace.span("sink"):
            self._profiler.drain()
            self._watch()

    def close(self) -> None:
        """Nothing to do: the profiler sums up the remaining spans."""


class _TracedSource:
    """A source whose deliveries are recorded as spans, on the device's own thread."""

    def __init__(self, source: Microphone, trace: Trace) -> None:
        self._source, self._trace, self._named = source, trace, False

    def run(self, deliver: Callable[[Block], None], stop: Stop) -> None:
        """Delivers the blocks of the source."""

        def traced(block: Block) -> None:
            if not self._named:
                self._trace.name_thread("microphone")
                self._named = True
            with self._trace.span("deliver"):
                deliver(block)

        self._source.run(traced, stop)


def _versions() -> dict[str, str]:
    modules = {name: sys.modules.get(name) for name in ("numpy", "onnxruntime")}
    found = {name: str(module.__version__) for name, module in modules.items() if module is not None}
    return {"voxface": __version__, "python": platform.python_version(), **found}
