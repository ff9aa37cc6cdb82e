"""`voxface eval`: tables and figures of both papers, and today's standard protocols, of a bundle or of another method's faces.

A suite's `--json` prints {"out", "results": [{"format", "suite", "tables", "figures", "per_person", "facts", "statements",
"missing", "subject", "data", "split", "quick", "seed", "test_use", "command", "date", "versions"}], "errors": [{"file",
"exit_code", "message", "suite"}]}; the same documents are in SUITE.json. `test_use` counts the evaluations of this suite on
these test people that the folder records; 0: not on test people.

`preference` prints {"page", "key", "survey", "questions"}; with --answers, what a suite prints.

`compare` prints {"a", "b", "differences": [{"suite", "metric", "better", "a", "b", "difference", "interval", "p_value",
"people", "significant"}], "left_out": [{"suite", "metric", "why"}]}, `report` {"report", "suites"}, `recordings` {"recordings",
"count"}.
"""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from voxface.cli.arguments import add_bundle, add_force, add_json, add_out, add_seed
from voxface.cli.output import Progress, error_json, print_json, tell

if TYPE_CHECKING:
    from voxface.training.evaluation.inputs import Inputs

# Names only, so that help loads nothing; a test compares them with `voxface.training.evaluation.suites.SUITES`.
SUITES: Final = {
    "speaker": "the voice encoder: EER, AUC, sex and age, beside a public encoder",
    "geometry": "3D faces (Wu 2022, Table 1): ratio, landmark and measurement errors beside the cascade and mean faces",
    "realness": "what the discriminator says of faces from voices and from noise (Wen 2019, §4.2)",
    "identity": "whose face it is, top 1 and 5 (Wen 2019, §4.2)",
    "attributes": "sex and age of the faces of new voices (Wen 2019, §4.2)",
    "matching": "whose of two faces is the voice's, or whose voice the face's (Wen 2019, Table 3)",
    "association": "matching, verification and retrieval by the public lists of trials (2018 to 2026)",
    "duration": "seconds of speech that faces are made of (Wen 2019, Fig. 3)",
    "noise": "noise beside the voice, and alone (Wen 2019, Fig. 2)",
    "segments": "how much faces of one voice differ (Wen 2019, Fig. 5; Wu 2022, Figs. 9 and 10)",
    "joint-gain": "what joint training gains in pictures and meshes (Wu 2022, Q3 and Q4)",
    "images": "FID, KID, and likeness by a network of yours",
    "streaming": "error, confidence and latency by seconds of voice heard",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    actions = parser.add_subparsers(dest="suite", required=True, metavar="SUITE")
    every = "all suites that what is given suffices for; the others are named with what they lack"
    for name, what in {**SUITES, "all": every}.items():
        _add_suite(actions.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False))
    recordings = actions.add_parser(
        "recordings",
        help="names of the recordings, for the files of --predictions",
        description="Writes a CSV of the recordings with the names that pictures and meshes of them get for --predictions.",
        allow_abbrev=False,
    )
    recordings.add_argument("--data", type=Path, required=True, metavar="PAIRS", help="folder of `voxface data`")
    add_out(recordings, "CSV file to write", metavar="CSV")
    add_force(recordings, "replace a file that is there already")
    add_json(recordings)
    _add_preference(
        actions.add_parser(
            "preference",
            help="which of two methods people prefer (Wu 2022, Fig. 12): a survey to answer in a browser, and its result",
            description="Builds a survey of 30 questions, one HTML page; with --answers, reads what its subjects saved.",
            allow_abbrev=False,
        )
    )
    report = actions.add_parser(
        "report", help="one HTML page of all results", description="One HTML page of all results.", allow_abbrev=False
    )
    report.add_argument("results", type=Path, nargs="+", metavar="RESULTS", help="folders of results")
    add_out(report, "HTML file to write", metavar="PAGE")
    add_force(report, "replace a page that is there already")
    add_json(report)
    compare = actions.add_parser(
        "compare",
        help="which differences between two results are significant",
        description="Compares two folders of results, person by person.",
        allow_abbrev=False,
    )
    compare.add_argument("a", type=Path, metavar="A", help="folder of results")
    compare.add_argument("b", type=Path, metavar="B", help="folder of results on the same people")
    add_json(compare)


def _add_preference(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--ours", type=Path, metavar="DIR", help="pictures of one method: NAME.png, NAME.mesh.png, or NAME/face.png"
    )
    sub.add_argument("--theirs", type=Path, metavar="DIR", help="pictures of the other method, of the same names")
    sub.add_argument(
        "--references", type=Path, metavar="DIR", help="pictures of the people's own faces, of the same names"
    )
    sub.add_argument("--method", metavar="NAME", help="name of ours in the result (the folder's)")
    sub.add_argument("--questions", type=int, metavar="N", help="number of questions (30)")
    sub.add_argument(
        "--answers",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="files that the page saved; the survey's key lies in --out",
    )
    add_out(sub, "folder of the survey and its result", metavar="RESULTS")
    add_force(sub, "replace a survey that is there already; its answers fit no other")
    add_seed(sub, "questions and sides")
    add_json(sub)


def _add_suite(sub: argparse.ArgumentParser) -> None:
    add_bundle(sub)
    sub.add_argument("--data", type=Path, metavar="PAIRS", help="folder of `voxface data`")
    add_out(sub, "folder of results", metavar="RESULTS")
    add_force(sub, "replace results of the same suite that are there already")
    sub.add_argument(
        "--predictions", type=Path, metavar="DIR", help="another method's pictures or meshes, instead of a bundle's"
    )
    sub.add_argument("--method", metavar="NAME", help="its name in the tables (the folder's)")
    sub.add_argument(
        "--speech", type=Path, nargs="+", default=[], metavar="DIR", help="folders of recordings, by speaker"
    )
    sub.add_argument("--noise", type=Path, nargs="+", default=[], metavar="DIR", help="folders of noise")
    sub.add_argument("--lists", type=Path, metavar="DIR", help="folder of the public lists of trials")
    sub.add_argument("--embeddings", type=Path, metavar="FILE", help="vectors of the lists' voices and faces, .npz")
    sub.add_argument(
        "--critics", type=Path, metavar="RUN", help="`train face-gan` run, for its discriminator and classifier"
    )
    sub.add_argument("--embedder", type=Path, metavar="ONNX", help="a network of yours that embeds faces")
    sub.add_argument(
        "--classifier", type=Path, metavar="ONNX", help="a network of yours that classifies faces (VGGFace's)"
    )
    sub.add_argument(
        "--expert", type=Path, nargs="+", default=[], metavar="RUN|FILE", help="experts, each for a row of the cascade"
    )
    sub.add_argument("--whitening", type=Path, metavar="FILE", help="mean and std of a published expert: .pkl or .npz")
    sub.add_argument(
        "--beside", type=Path, nargs="+", default=[], metavar="BUNDLE", help="further bundles, for a row each"
    )
    sub.add_argument(
        "--split", choices=("test", "validation"), default="test", help="people to evaluate on (%(default)s)"
    )
    sub.add_argument(
        "--quick", action="store_true", help="few people and trials, in minutes; the numbers are worth little"
    )
    add_seed(sub, "trials and draws")
    add_json(sub)


def run(options: argparse.Namespace) -> int:
    """Evaluates; returns 0, or the exit code of the first suite that failed."""
    from voxface.runtime.errors import ProviderError
    from voxface.runtime.install_advice import how_to_install

    try:
        if options.suite == "recordings":
            return _recordings(options)
        if options.suite == "report":
            return _report(options)
        if options.suite == "compare":
            return _compare(options)
        if options.suite == "preference":
            return _preference(options)
        return _evaluate(options)
    except ImportError as error:
        raise ProviderError(f"evaluation needs {error.name or error}; {how_to_install('eval')}") from error


def _evaluate(options: argparse.Namespace) -> int:
    from contextlib import ExitStack

    from voxface.training.evaluation.given_paths import check_given, check_out
    from voxface.training.evaluation.run import check_new, run_suites

    names = tuple(SUITES) if options.suite == "all" else (options.suite,)
    _check_together(options)
    # Pairs, predictions and bundles are opened at once, and say themselves what they lack.
    opened = {f"--{name}": _paths(options, name) for name in ("data", "predictions", "bundle", "beside")}
    later = {
        f"--{name}": _paths(options, name)
        for name in (
            "speech",
            "noise",
            "lists",
            "embeddings",
            "critics",
            "embedder",
            "classifier",
            "expert",
            "whitening",
        )
    }
    check_out(options.out, opened | later)
    check_given(later)
    if not options.force:
        check_new(options.out, names)
    progress = Progress(1, options.suite)
    with ExitStack() as stack:
        stack.callback(progress.close)
        inputs = _inputs(options, stack, progress)
        written, failed = run_suites(names, inputs, _command(options), say=progress.say)
    errors = [error_json(str(error), error.exit_code, suite=name) for name, error in failed]
    if options.json:
        print_json({"out": str(options.out), "results": written, "errors": errors})
    else:
        for document in written:
            print((options.out / f"{document['suite']}.md").read_text())
        for name, error in failed:
            tell(f"voxface: {name}: {error}\n")
    return int(errors[0]["exit_code"]) if errors and not written else 0


def _paths(options: argparse.Namespace, name: str) -> list[Path]:
    given = getattr(options, name)
    return given if isinstance(given, list) else [] if given is None else [given]


def _check_together(options: argparse.Namespace) -> None:
    from voxface.runtime.errors import UsageError

    if options.predictions is not None and options.bundle is not None:
        raise UsageError("--predictions, --bundle: give one of them; a bundle beside them is --beside")
    if options.predictions is not None and options.data is None:
        raise UsageError("--predictions: --data says whose they are")
    if options.method is not None and options.predictions is None:
        raise UsageError("--method: names the method of --predictions")
    if options.method is not None and not options.method.strip():
        raise UsageError("--method: is empty; give the name for the tables")
    if options.whitening is not None and not options.expert:
        raise UsageError("--whitening: is of a published expert; give its file as --expert")
    _check_seed(options)


def _check_seed(options: argparse.Namespace) -> None:
    from voxface.runtime.errors import UsageError

    if not 0 <= options.seed < 1 << 32:
        raise UsageError(f"--seed: {options.seed} is not from 0 to {(1 << 32) - 1}")


def _inputs(options: argparse.Namespace, stack: Any, progress: Progress) -> "Inputs":
    from voxface.training.data.pairs import Pairs
    from voxface.training.evaluation.inputs import Inputs
    from voxface.training.evaluation.predictions import Predictions
    from voxface.training.evaluation.subject import BundleSubject

    pairs = None if options.data is None else Pairs.load(options.data)
    predictions = bundle = None
    if options.predictions is not None and pairs is not None:
        predictions = Predictions.read(options.predictions, pairs, options.method)
    else:
        bundle = stack.enter_context(BundleSubject(options.bundle, pairs))
    return Inputs(
        out=options.out,
        given_bundle=bundle,
        given_pairs=pairs,
        predictions=predictions,
        beside=tuple(stack.enter_context(BundleSubject(one, pairs)) for one in options.beside),
        speech=tuple(options.speech),
        noise=tuple(options.noise),
        lists=options.lists,
        embeddings=options.embeddings,
        critics=options.critics,
        embedder=options.embedder,
        classifier=options.classifier,
        experts=tuple(options.expert),
        whitening=options.whitening,
        split=options.split,
        quick=options.quick,
        seed=options.seed,
        progress=progress.phase,
    )


def _command(options: argparse.Namespace) -> str:
    """The command as it was given, with the names of files but not their folders, which are of this machine."""
    words = ["voxface", "eval", options.suite]
    for name in (
        *("bundle", "data", "predictions", "method", "speech", "noise", "lists", "embeddings", "critics", "embedder"),
        *("classifier", "expert", "whitening", "beside", "split", "quick", "seed"),
    ):
        value = getattr(options, name)
        if value in (None, [], False) or (name, value) in (("split", "test"), ("seed", 0)):
            continue
        shown = value if isinstance(value, list) else [value]
        words += [
            f"--{name}",
            *([] if value is True else [one.name if isinstance(one, Path) else str(one) for one in shown]),
        ]
    return shlex.join(words)


def _check_file(options: argparse.Namespace) -> None:
    from voxface.runtime.errors import UsageError

    if options.out.is_dir():
        raise UsageError(f"--out: {options.out} is a folder; give a file")
    if options.out.exists() and not options.force:
        raise UsageError(f"{options.out}: is there already; --force replaces it")


def _write(file: Path, data: bytes) -> None:
    from voxface.runtime.errors import InputError
    from voxface.runtime.files.atomic import write_bytes

    try:
        write_bytes(file, data)
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror or error})") from error


def _recordings(options: argparse.Namespace) -> int:
    from voxface.training.data.pairs import Pairs
    from voxface.training.evaluation.recordings import recordings_csv

    _check_file(options)
    pairs = Pairs.load(options.data)
    _write(options.out, recordings_csv(pairs))
    count = int(pairs.utterance_clean.sum())
    if options.json:
        print_json({"recordings": str(options.out), "count": count})
    else:
        print(f"{options.out}: {count} recordings")
    return 0


def _preference(options: argparse.Namespace) -> int:
    from voxface.runtime.errors import UsageError
    from voxface.training.evaluation.given_paths import check_out

    _check_seed(options)
    folders = {f"--{name}": getattr(options, name) for name in ("ours", "theirs", "references")}
    if options.answers is None:
        if missing := [name for name, given in folders.items() if given is None]:
            raise UsageError(f"{', '.join(missing)}: a survey needs them; --answers reads the answers to one")
        check_out(options.out, {name: [folder] for name, folder in folders.items()})
        if options.ours.resolve() == options.theirs.resolve():
            raise UsageError("--ours, --theirs: are one folder; give pictures of two methods")
        return _build_survey(options)
    asked = {**folders, "--method": options.method, "--questions": options.questions}
    if given := [name for name, value in asked.items() if value is not None]:
        raise UsageError(f"{', '.join(given)}: not with --answers, which are of a survey that is built already")
    return _read_survey(options)


def _build_survey(options: argparse.Namespace) -> int:
    from voxface.training.evaluation.surveys.survey_files import KEY, PAGE, write_survey
    from voxface.training.evaluation.surveys.survey_pictures import QUESTIONS, questions

    count = QUESTIONS if options.questions is None else options.questions
    asked = questions(options.ours, options.theirs, options.references, count=count, seed=options.seed)
    names = options.method or options.ours.resolve().name, options.theirs.resolve().name
    key = write_survey(options.out, asked, *names, seed=options.seed, force=options.force)
    found = {
        "page": str(options.out / PAGE),
        "key": str(options.out / KEY),
        "survey": key["survey"],
        "questions": len(asked),
    }
    if options.json:
        print_json(found)
    else:
        print(f"{found['page']}: {len(asked)} questions; give it to subjects, and keep {KEY} from them")
    return 0


def _read_survey(options: argparse.Namespace) -> int:
    import datetime

    from voxface.training.evaluation.inputs import Inputs
    from voxface.training.evaluation.run import write_result
    from voxface.training.evaluation.surveys.survey_files import read_key
    from voxface.training.evaluation.surveys.survey_results import survey_result

    found = survey_result(options.answers, read_key(options.out), seed=options.seed)
    command = f"voxface eval preference --answers ({len(options.answers)} files)"
    document = write_result(found, Inputs(options.out, seed=options.seed), command, datetime.datetime.now(datetime.UTC))
    if options.json:
        print_json({"out": str(options.out), "results": [document], "errors": []})
    else:
        print((options.out / "preference.md").read_text())
    return 0


def _report(options: argparse.Namespace) -> int:
    from voxface.training.evaluation.report import report_page
    from voxface.training.evaluation.run import read_results

    _check_file(options)
    folders = {folder: read_results(folder) for folder in options.results}
    _write(options.out, report_page(folders).encode())
    suites = sorted({name for results in folders.values() for name in results})
    if options.json:
        print_json({"report": str(options.out), "suites": suites})
    else:
        print(f"{options.out}: {', '.join(suites)}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    from voxface.training.evaluation.comparison import compare
    from voxface.training.evaluation.run import read_results

    found = compare(read_results(options.a), read_results(options.b))
    if options.json:
        print_json({"a": str(options.a), "b": str(options.b), **found.to_json()})
    else:
        print(found.text())
    return 0
