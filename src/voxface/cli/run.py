"""`voxface run`: faces and meshes from sound files."""

import argparse
import signal
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxface.cli.arguments import (
    add_any_age,
    add_bundle,
    add_channel,
    add_force,
    add_json,
    add_min_confidence,
    add_out,
    add_provider,
    add_seed,
    add_threads,
    check_channel,
    check_min_confidence,
    check_threads,
)
from voxface.cli.collector_pause import CollectorPause
from voxface.cli.engine_times import warn_of_change
from voxface.cli.hearing_progress import HearingProgress
from voxface.cli.interrupted_import import InterruptedImport
from voxface.cli.output import Progress, complain, error_json, print_json, warn
from voxface.cli.terminal_line import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxface.runtime.bundle.bundle import Bundle
    from voxface.runtime.features.speech import Speech
    from voxface.runtime.report_page.kept_sound import KeptSound


MOST_SAMPLES = 100  # a mesh of half a megabyte each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "audio", nargs="+", type=Path, help="sound files (WAV, FLAC, OGG, MP3, …: docs/audio.md), or folders of them"
    )
    add_out(parser, "folder for the results (%(default)s)", required=False, default=Path("voxface-out"))
    add_force(parser, "replace results of an earlier run in --out")
    add_channel(parser)
    add_min_confidence(parser)
    add_any_age(parser)
    parser.add_argument(
        "--samples",
        type=int,
        default=0,
        metavar="N",
        help=f"also write N other faces that each voice fits as well, 0 to {MOST_SAMPLES}, and what is open (none)",
    )
    add_seed(parser, "samples")
    parser.add_argument(
        "--morph-targets",
        action="store_true",
        help="also write the shapes into mesh.glb that animate the head elsewhere, under ARKit's names (docs/animation.md)",
    )
    parser.add_argument(
        "--report-sound",
        action="store_true",
        help="also put the first minute of each voice into report.html, to be heard there (no sound is kept)",
    )
    signing = parser.add_argument_group("signed pictures (C2PA; docs/provenance.md)")
    signing.add_argument("--sign-cert", type=Path, metavar="PEM", help="sign with this certificate and its chain")
    signing.add_argument("--sign-key", type=Path, metavar="PEM", help="the certificate's private key")
    signing.add_argument(
        "--sign-timestamps", metavar="URL", help="ask this authority for time stamps (nobody is asked)"
    )
    add_bundle(parser)
    add_provider(parser)
    add_threads(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Processes every readable input and reports every other one; returns the exit code of the first failure."""
    with InterruptedImport(), CollectorPause() as loading:
        return _run(options, loading)


def _run(options: argparse.Namespace, loading: CollectorPause) -> int:
    """The same; `loading` ends when the engines are there."""
    from voxface.runtime.audio.decode import find_audio
    from voxface.runtime.background import Background
    from voxface.runtime.bundle.bundle import Bundle
    from voxface.runtime.errors import InputError, NoSpeechError, UsageError, VoxfaceError
    from voxface.runtime.files.atomic import check_folder
    from voxface.runtime.inference.run_folders import check_fresh, folder_names

    opening = Background(partial(Bundle.open, options.bundle))  # read and verified while modules are imported
    from voxface.runtime.engines.choice import AUTO, in_words
    from voxface.runtime.engines.under_way import StoppedError
    from voxface.runtime.inference.face_estimator import FaceEstimator
    from voxface.runtime.live.stop import Stop

    check_threads(options.threads)
    channel, least = check_channel(options.channel), check_min_confidence(options.min_confidence)
    if not 0 <= options.samples <= MOST_SAMPLES:
        raise UsageError(f"--samples {options.samples}: 0 to {MOST_SAMPLES}")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: not negative")
    if options.out.exists() and not options.out.is_dir():
        raise UsageError(f"--out {options.out}: is a file; give a folder")
    if options.out.is_symlink() and not options.out.exists():
        raise UsageError(f"--out {options.out}: is a link that leads nowhere; give a folder")
    try:
        check_folder(options.out)
    except OSError as error:
        raise InputError(f"--out {options.out}: cannot be written ({error.strerror}); choose another") from error
    sign = _signer(options)
    files: list[Path] = []
    errors: list[dict[str, Any]] = []

    def failed(file: Path, error: VoxfaceError) -> None:
        more = {"reason": error.reason} if isinstance(error, NoSpeechError) else {}
        errors.append(error_json(str(error), error.exit_code, file, **more))
        complain(str(error))

    unusable: list[tuple[Path, InputError]] = []
    for path in options.audio:
        try:
            files += find_audio([path])
        except InputError as error:
            unusable.append((path, error))
    names = folder_names(files)
    check_fresh(options.out, names, force=options.force)
    bundle = opening.result()
    if options.samples and "face_posterior" in bundle.missing_parts:
        raise UsageError(
            f"--samples: {bundle.path}: {bundle.missing_parts['face_posterior']}; leave --samples out, or train the mesh "
            "again and export the bundle"
        )
    for path, why in unusable:
        failed(path, why)
    clips: list[dict[str, Any]] = []
    bundle.read_ahead()
    if "speech_modulation" in bundle.missing_parts:
        warn(f"{bundle.path}: {bundle.missing_parts['speech_modulation']}")
    hearing = HearingProgress()
    if files:
        hearing.listen_to(files[0])
    # The first clip is heard while the engines are loaded, and each other one while the face before it is made.
    ahead = deque(
        Background(partial(_hear, bundle, file, channel, options.report_sound, hearing)) for file in files[:1]
    )
    Background(partial(_import_the_rest, options.provider))
    with FaceEstimator(bundle, options.provider, threads=options.threads) as face_estimator:
        from voxface.cli.signals import stopping_on_signals
        from voxface.runtime.inference.attributes import age_in_words, sex_in_words
        from voxface.runtime.inference.clip_words import told_in_words
        from voxface.runtime.inference.run_report import RunReport

        loading.end()
        warn_of_change(options.provider, face_estimator.choice)
        results = RunReport(
            options.out,
            face_estimator,
            samples=options.samples,
            seed=options.seed,
            morph_targets=options.morph_targets,
            sign=sign,
        )
        progress = Progress(len(files), "voices")
        stop = Stop()
        with stopping_on_signals(stop):
            for number, file in enumerate(files):
                if stop():
                    break
                ahead += (
                    Background(partial(_hear, bundle, after, channel, options.report_sound, hearing))
                    for after in files[number + 1 : number + 2]
                )
                hearing.listen_to(file)
                try:
                    speech, hearing_ns, sound = ahead.popleft().result()
                    hearing.close()
                    began = time.perf_counter_ns()
                    speech, estimate = face_estimator.face_of_sound(speech, least, any_age=options.any_age)
                    took = hearing_ns + time.perf_counter_ns() - began
                    clips.append(results.write_clip(names[number], file, speech, estimate, took, sound))
                except NoSpeechError as error:
                    failed(file, NoSpeechError(f"{file}: {error}", error.reason))
                except StoppedError:  # by a signal: this file is not done, as are those after it
                    break
                except VoxfaceError as error:
                    failed(file, error)
                progress.step(file.name)
        hearing.close()
        progress.close()
        document = results.document(clips, errors)
        if clips or results.has_report:  # a report of an earlier run would describe other clips
            try:
                results.write_report(document)
            except InputError as error:
                failed(options.out, error)
    if options.json:
        print_json(document)
    else:
        for clip in clips:
            age, where = age_in_words(clip["attributes"]), printable(str(Path(clip["face"]).parent))
            print(
                f"{printable(clip['file'])}: {clip['voiced_s']:.1f} s of speech, "
                f"face {sex_in_words(clip['attributes']['sex'])}, "
                f"{age + ', ' if age else ''}confidence {clip['confidence']:.2f} -> {where}"
            )
            if "told" in clip:
                print(f"  {told_in_words(clip)}")
        if clips:
            if options.provider == AUTO:
                print(in_words(face_estimator.choice))
            print(f"report: {printable(str(options.out / 'report.html'))}")
            print(bundle.mark.notice)
    if stop.reason is not None:
        complain(f"ended by {stop.reason} after {len(clips) + len(errors)} of {len(files)} files")
        return 128 + signal.Signals[stop.reason].value
    return int(errors[0]["exit_code"]) if errors else 0


def _import_the_rest(provider: str) -> None:
    """Imports what is needed once the engines are there, while they load; on another thread, and what fails here fails there.

    ONNX Runtime comes first: the engines wait for it.
    """
    if provider in ("auto", "cpu"):
        from voxface.runtime.engines.onnxruntime import import_onnxruntime

        import_onnxruntime()
    import voxface.cli.signals
    import voxface.runtime.inference.face_posterior
    import voxface.runtime.inference.run_report  # noqa: F401


def _signer(options: argparse.Namespace) -> "Callable[[bytes], bytes] | None":
    """What signs pictures with the certificate that was given; None: nothing is signed.

    Raises:
        UsageError: only one of certificate and key was given, or time stamps without them.
        InputError: certificate or key cannot be used.
        ProviderError: what signs is not installed.
    """
    from voxface.runtime.errors import UsageError

    certificate, key, stamps = options.sign_cert, options.sign_key, options.sign_timestamps
    if certificate is None and key is None and stamps is None:
        return None
    if certificate is None or key is None:
        raise UsageError("--sign-cert, --sign-key: signing needs both, the certificate and its private key")
    from voxface.runtime.provenance.content_credentials import PngSigner

    return PngSigner(certificate, key, timestamps=stamps).sign


def _hear(
    bundle: "Bundle", file: Path, channel: int | None, keep: bool, hearing: HearingProgress
) -> "tuple[Speech, int, KeptSound | None]":
    """The speech in a file, how many nanoseconds it took to find, and the beginning of the sound where it is to be kept."""
    from voxface.runtime.audio.decode import read_blocks
    from voxface.runtime.features.front_end import listen
    from voxface.runtime.report_page.kept_sound import KeptSound

    began = time.perf_counter_ns()
    sound = KeptSound() if keep else None
    blocks = read_blocks(file, channel, hearing.of(file))
    speech = listen(blocks if sound is None else sound.through(blocks), bundle.front_end, bundle.vad)
    return speech, time.perf_counter_ns() - began, sound
