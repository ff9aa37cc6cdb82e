"""`voxface live`: from the microphone, a file or a pipe to a moving face and mesh."""

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from voxface.cli.arguments import (
    add_any_age,
    add_bundle,
    add_channel,
    add_json,
    add_min_confidence,
    add_provider,
    add_threads,
    check_channel,
    check_min_confidence,
    check_threads,
)
from voxface.cli.engine_times import warn_of_change
from voxface.cli.hearing_progress import HearingProgress
from voxface.cli.output import complain, error_json, print_json, warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxface.runtime.config.live import LiveConfig
    from voxface.runtime.live.clock import Clock
    from voxface.runtime.live.pipeline import Pipeline
    from voxface.runtime.live.recording import Recording
    from voxface.runtime.live.runner import Source
    from voxface.runtime.live.session import Detector
    from voxface.runtime.live.sink_worker import Sink
    from voxface.runtime.voice_to_face import VoiceToFace

# Options that have a default, which only an option that was not given gets: with --replay the recording has its own.
DEFAULTS: Final = {
    "pcm_rate": 16_000,
    "pcm_channels": 1,
    "pcm_format": "s16le",
    "hop_ms": 100.0,
    "window": 8.0,
    "mode": "exact",
    "vad": "webrtc",
}
RECORDED: Final = (
    "seconds",
    "channel",
    "rate",
    "hop_ms",
    "window",
    "mode",
    "still",
    "min_confidence",
    "any_age",
    "one_speaker",
    "vad",
)
PCM: Final = ("pcm_rate", "pcm_channels", "pcm_format")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    source = parser.add_argument_group("source (the default microphone)")
    source.add_argument("--source", metavar="FILE", help="a sound file, or - for raw PCM on standard input")
    source.add_argument(
        "--realtime",
        action="store_true",
        help="play a file at its own pace; drop sound of standard input, instead of making it wait, when inference is slower",
    )
    source.add_argument(
        "--device", metavar="NAME", help='microphone: number, name, part of it or "NAME, HOST" (see voxface devices)'
    )
    source.add_argument("--rate", type=int, metavar="HZ", help="sample rate of the microphone (its own)")
    source.add_argument(
        "--replay", type=Path, metavar="DIR", help="process a recording again with its own settings, and compare"
    )
    source.add_argument(
        "--pcm-rate", type=int, metavar="HZ", help=f"sample rate of standard input ({DEFAULTS['pcm_rate']})"
    )
    source.add_argument(
        "--pcm-channels", type=int, metavar="N", help=f"channels of standard input ({DEFAULTS['pcm_channels']})"
    )
    source.add_argument(
        "--pcm-format", choices=("s16le", "f32le"), help=f"format of standard input ({DEFAULTS['pcm_format']})"
    )
    add_channel(source)
    source.add_argument("--seconds", type=float, metavar="S", help="end after so many seconds")
    when = parser.add_argument_group("estimates")
    when.add_argument("--hop-ms", type=float, metavar="MS", help=f"speech between estimates ({DEFAULTS['hop_ms']:g})")
    when.add_argument(
        "--window",
        type=float,
        metavar="S",
        help=f"speech an estimate uses ({DEFAULTS['window']:g}); a change of speaker is found with 4 s or more",
    )
    when.add_argument(
        "--mode",
        choices=("exact", "incremental"),
        help=f"whether each estimate encodes the whole window, or only what has changed ({DEFAULTS['mode']})",
    )
    when.add_argument(
        "--still",
        type=float,
        metavar="DISTANCE",
        help="reuse the image while the embedding is within this distance (0; in mode incremental 0.15, which is not visible)",
    )
    add_min_confidence(when)
    add_any_age(when)
    when.add_argument("--one-speaker", action="store_true", help="do not look for a change of speaker")
    when.add_argument("--vad", choices=("webrtc", "silero"), help=f"what finds speech ({DEFAULTS['vad']})")
    when.add_argument(
        "--vad-model", type=Path, metavar="FILE", help="with --vad silero: silero_vad.onnx (of the installed package)"
    )
    add_bundle(when)
    add_provider(when)
    add_threads(when)
    out = parser.add_argument_group("output")
    out.add_argument(
        "--show",
        action="append",
        choices=("auto", "window", "terminal", "none"),
        help="what to draw: a window, the terminal, both (give it twice) or nothing (whatever can be shown)",
    )
    out.add_argument(
        "--terminal-face",
        choices=("auto", "kitty", "sixel", "blocks", "none"),
        default="auto",
        help="how the terminal draws: graphics of kitty, sixels, half blocks, only words (the best that it says it has)",
    )
    out.add_argument(
        "--uncertainty",
        action="store_true",
        help="colour the window's mesh by how far it may be off (there: the key U)",
    )
    out.add_argument("--record", type=Path, metavar="DIR", help="keep sound, events, faces and meshes in a new folder")
    add_json(out, "one JSON summary on standard output at the end")
    out.add_argument("--json-lines", action="store_true", help="every event as a line of JSON on standard output")


def run(options: argparse.Namespace) -> int:
    """Runs until the source ends or a signal comes.

    Returns 4 if a file held no speech to make a face of, 3 if a replay differs from its recording, and 128 plus its number
    after SIGHUP: unlike SIGINT and SIGTERM, with which a user ends a session, it comes because a terminal was closed.
    """
    from voxface.cli.live.screens import open_screens
    from voxface.cli.signals import stopping_on_signals
    from voxface.runtime.bundle.bundle import Bundle
    from voxface.runtime.live.clock import SystemClock
    from voxface.runtime.live.pipeline import Pipeline
    from voxface.runtime.live.replay import Comparison, run_replay
    from voxface.runtime.live.runner import run_inline, run_threaded
    from voxface.runtime.live.sink_worker import SinkWorker
    from voxface.runtime.live.sinks.recorder import Recorder
    from voxface.runtime.live.sources import FileSource
    from voxface.runtime.live.stop import Stop
    from voxface.runtime.live.summary import summary
    from voxface.runtime.provenance.mark import KEY
    from voxface.runtime.voice_to_face import VoiceToFace

    config = check(options)
    clock = SystemClock()
    recording = _recording(options)
    config = recording.config if recording else config
    start = recording.start if recording else 0
    vad = str(recording.about.get("vad", DEFAULTS["vad"])) if recording else options.vad
    _check_vad_model(options, vad)
    hearing = HearingProgress()
    source = None if recording else _source(options, clock, hearing)
    threaded = source is not None and (options.source is None or options.realtime)
    stop = Stop()
    # Loaded and warmed before a device is opened: a device does not wait. Until it is loaded a signal ends the command at once.
    with (
        VoiceToFace(Bundle.open(options.bundle), options.provider, threads=options.threads) as voice_to_face,
        stopping_on_signals(stop),
    ):
        warn_of_change(options.provider, voice_to_face.choice)
        voice_to_face.warm_up()
        bundle = voice_to_face.bundle
        asked = {"speaker_change": config.detect_speaker_change, "face_posterior": options.uncertainty, "age": False}
        for part, what in bundle.missing_parts.items():
            if asked.get(part, True):
                warn(f"{bundle.path}: {what}")
        about = {
            "bundle": {"path": str(bundle.path), "name": bundle.name, "sha256": bundle.manifest.sha256},
            "provider": voice_to_face.provider,
            "threads": voice_to_face.choice.threads,
            "chosen": voice_to_face.choice.why,
            "source": str(options.replay) if recording else options.source or "microphone",
            KEY: bundle.mark.to_json(),
        }
        session = voice_to_face.live_session(
            config,
            detector=_detector(vad, options.vad_model),
            start=start,
            skips=recording.skips if recording else None,
        )
        of_file = isinstance(source, FileSource)  # a file source chooses its channel itself
        pipeline = Pipeline(session, clock, channel=None if of_file else check_channel(options.channel))
        shows = open_screens(options, pipeline, voice_to_face.morphable)  # before a recording's folder is made
        sinks = _sinks(options, {**about, "config": config.to_json(), "start": start, "vad": vad}, voice_to_face)
        comparison = Comparison(recording, stop) if recording else None
        delivered = pipeline.stage_histograms.stages["sink"].add
        for sink in [*sinks, *([comparison] if comparison else [])]:
            pipeline.sink_workers.append(SinkWorker(sink, clock, "thread" if threaded else "here", delivered))
        for screen in shows:
            pipeline.sink_workers.append(SinkWorker(screen, clock, "main" if threaded else "here", delivered))
        failed: Exception | None = None
        if of_file and not shows and not options.realtime and not options.json_lines:
            hearing.listen_to(Path(options.source))
        try:
            if recording:
                run_replay(recording, pipeline, stop, list(shows), clock if options.realtime else None)
            elif source and threaded:
                run_threaded(source, pipeline, clock, stop, list(shows), limit_s=options.seconds)
            elif source:
                run_inline(source, pipeline, stop, list(shows), limit_s=options.seconds)
        except Exception as error:
            failed = error
        finally:
            hearing.close()
        if failed and not pipeline.heard_s:
            for sink in sinks:
                if isinstance(sink, Recorder):
                    sink.discard()
        if comparison and any(
            sink_worker.error for sink_worker in pipeline.sink_workers if sink_worker.sink is comparison
        ):
            comparison.broken = True
        document = {
            **about,
            **({"device": source.to_json()} if isinstance(source, _HasReport) else {}),
            **({"replay": comparison.to_json()} if comparison else {}),
            **summary(pipeline, "error" if failed else stop.reason or "end of input"),
        }
        return _end(options, pipeline, document, failed, recording)


@runtime_checkable
class _HasReport(Protocol):
    def to_json(self) -> dict[str, Any]: ...


def check(options: argparse.Namespace) -> "LiveConfig":
    """The settings of the session; gives `options` the defaults of what was left out.

    Raises:
        UsageError: an option that cannot be, or two that exclude each other.
    """
    from voxface.runtime.config.live import LiveConfig
    from voxface.runtime.config.sample_rate import SAMPLE_RATE
    from voxface.runtime.errors import UsageError

    if options.json and options.json_lines:
        raise UsageError("--json and --json-lines both write to standard output; choose one")
    if options.replay and (options.source or options.device):
        raise UsageError("--replay brings its own sound: leave --source and --device out")
    for name in RECORDED:
        if options.replay and getattr(options, name) is not None and getattr(options, name) is not False:
            raise UsageError(f"--replay hears a recording as it was heard: leave --{name.replace('_', '-')} out")
    if options.source and options.device:
        raise UsageError("--source and --device exclude each other")
    if options.source and options.rate is not None:
        raise UsageError("--rate is of a microphone: leave it out, a file has its own; --pcm-rate is of --source -")
    for name in PCM:
        if options.source != "-" and getattr(options, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} is of standard input: give --source -, or leave it out")
    for name, value in DEFAULTS.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    check_threads(options.threads)
    check_channel(options.channel)
    if not 1 <= options.pcm_channels <= 256 or not 4000 <= options.pcm_rate <= 768_000:
        raise UsageError("--pcm-channels: 1 to 256; --pcm-rate: 4000 to 768000")
    if options.seconds is not None and not options.seconds > 0:
        raise UsageError(f"--seconds {options.seconds}: more than 0")
    least = check_min_confidence(options.min_confidence)
    hop = options.hop_ms * SAMPLE_RATE / 1000
    if not 20 <= options.hop_ms <= 1000:
        raise UsageError(f"--hop-ms {options.hop_ms:g}: 20 to 1000")
    if not 1 <= options.window <= 60:
        raise UsageError(f"--window {options.window:g}: 1 to 60 seconds")
    try:
        return LiveConfig(
            hop=round(hop),
            window=round(options.window * SAMPLE_RATE),
            mode=options.mode,
            image_reuse_distance=options.still,
            detect_speaker_change=not options.one_speaker,
            min_confidence=least,
            any_age=options.any_age,
        )
    except ValueError as error:
        raise UsageError(f"--still {options.still}: {error}") from error


def _check_vad_model(options: argparse.Namespace, vad: str) -> None:
    from voxface.runtime.errors import UsageError

    if options.vad_model is not None and vad != "silero":
        what = "the recording was made without Silero: leave it out" if options.replay else "give --vad silero as well"
        raise UsageError(f"--vad-model {options.vad_model}: {what}")


def _detector(vad: str, model: Path | None) -> "Callable[[], Detector] | None":
    """The voice activity detector that was asked for, or that a recording was made with; None: the bundle's WebRTC VAD."""
    if vad == "webrtc":
        return None
    from voxface.runtime.audio.silero_vad import SileroDetector, open_silero

    engine = open_silero(model)
    return lambda: SileroDetector(engine)


def _recording(options: argparse.Namespace) -> "Recording | None":
    from voxface.runtime.live.recording import Recording

    return Recording(options.replay) if options.replay else None


def _source(options: argparse.Namespace, clock: "Clock", hearing: HearingProgress) -> "Source":
    from voxface.runtime.errors import InputError
    from voxface.runtime.live.microphone import Microphone, PortAudio
    from voxface.runtime.live.sources import FileSource, PcmSource

    channel = check_channel(options.channel)
    if options.source is None:
        return Microphone(clock, PortAudio(), options.device, rate=options.rate, channel=channel, tell=warn)
    if options.source == "-":
        if sys.stdin is None:
            raise InputError("standard input is closed; give --source a file, or send sound")
        return PcmSource(
            sys.stdin.fileno(),
            options.pcm_rate,
            options.pcm_channels,
            options.pcm_format,
            clock,
            limit_s=options.seconds,
        )
    path = Path(options.source)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    return FileSource(path, clock if options.realtime else None, channel=channel, heard=hearing.of(path))


def _sinks(options: argparse.Namespace, about: dict[str, Any], voice_to_face: "VoiceToFace") -> "list[Sink]":
    from voxface import __version__
    from voxface.runtime.live.sinks.json_lines import JsonLines
    from voxface.runtime.live.sinks.recorder import Recorder

    sinks: list[Sink] = []
    if options.json_lines:
        sinks.append(JsonLines(sys.stdout))
    if options.record:
        sinks.append(Recorder(options.record, {**about, "voxface": __version__}, voice_to_face.morphable))
    return sinks


def _end(
    options: argparse.Namespace,
    pipeline: "Pipeline",
    document: dict[str, Any],
    failed: Exception | None,
    recording: "Recording | None",
) -> int:
    """Prints the summary, or what went wrong; returns the exit code."""
    from voxface.cli.signals import HANGUP
    from voxface.runtime.errors import InputError, NoSpeechError, VoxfaceError
    from voxface.runtime.live.sink_worker import cause_of
    from voxface.runtime.live.summary import why_no_face

    if failed is not None and not isinstance(failed, VoxfaceError):
        raise failed
    if options.json and failed is not None and not pipeline.heard_s:
        print_json({"errors": [error_json(str(failed), failed.exit_code)]})
    elif options.json:
        print_json(document)
    if failed is not None:
        complain(str(failed))
        return int(failed.exit_code)
    if not options.json_lines and not options.json:
        _print(document)
    broken = [sink_worker for sink_worker in pipeline.sink_workers if sink_worker.error is not None]
    for sink_worker in broken:
        if isinstance(sink_worker.error, BrokenPipeError):
            raise sink_worker.error
        assert sink_worker.error is not None
        complain(
            f"{sink_worker.sink.name.replace('_', ' ')}: {cause_of(sink_worker.error)}; it ended there, the rest went on"
        )
    if document["ended"] == HANGUP:
        return 128 + signal.SIGHUP
    if broken:
        return InputError.exit_code
    if document.get("replay", {}).get("identical") is False:
        complain(_difference(document, recording))
        return InputError.exit_code
    if document["ended"] == "end of input" and pipeline.last is None:
        source = "standard input" if options.source == "-" else document["source"]
        complain(f"{source}: no face in {pipeline.heard_s:.2f} s ({why_no_face(pipeline)})")
        return NoSpeechError.exit_code
    return 0


def _difference(document: dict[str, Any], recording: "Recording | None") -> str:
    """How a replay differs from its recording, and another bundle as a reason."""
    replay = document["replay"]
    first = replay["first"]
    made = recording.about.get("bundle") if recording else None
    known = made.get("sha256") if isinstance(made, dict) else None
    other = known is not None and known != document["bundle"]["sha256"]
    count = replay["differences"]
    differ = (
        "1 event differs from the recorded one, in itself or in its picture or mesh:"
        if count == 1
        else f"{count} events differ from the recorded ones, in themselves or in their picture or mesh; first"
    )
    return f"{document['source']}: {differ} event {first['event']}, {first['differs']}" + (
        f"; it was recorded with another bundle, {made.get('name')!r}; give that with --bundle"
        if made and other
        else ""
    )


def _print(document: dict[str, Any]) -> None:
    from voxface.runtime.inference.attributes import age_in_words, sex_in_words
    from voxface.runtime.provenance.mark import KEY

    counters, last = document["counters"], document["last"]
    print(f"{document['duration_s']:.1f} s heard, {counters['estimates']} estimates, ended: {document['ended']}")
    if last:
        age = age_in_words(last["attributes"])
        print(
            f"last: {last['voiced_s']:.1f} s of speech, face {sex_in_words(last['attributes']['sex'])}, "
            f"{age + ', ' if age else ''}confidence {last['confidence']:.2f}, speaker {last['speaker']}"
        )
        print(document[KEY]["notice"])
    replay = document.get("replay")
    if replay and replay["identical"]:
        whole = "all" if document["ended"] == "end of input" else "so far"
        print(f"replay: identical to the recording, {whole} {replay['events']} events with their pictures and meshes")
        if "complete" in replay:
            print(
                "replay: the recording was not closed (a kill, a full disk); nothing after its last event was compared"
            )
    total = document["latency_ms"].get("total")
    if total:
        print(f"latency: p50 {total['p50']:.1f} ms, p99 {total['p99']:.1f} ms")
    for name, value in counters.items():
        if value and name not in ("estimates", "blocks", "streams", "longest_queue_ms") and value != {}:
            if isinstance(value, dict) and not value.get("count", 1):
                continue
            words = ", ".join(f"{key} {part}" for key, part in value.items()) if isinstance(value, dict) else value
            print(f"{name.replace('_', ' ')}: {words}")
