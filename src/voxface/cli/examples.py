"""An example of every command, which ends its help. Tests read each by the real parser, so that none goes stale."""

from collections.abc import Mapping
from typing import Final

from voxface.cli.eval_examples import EVAL_EXAMPLES

EXAMPLES: Final[Mapping[str, str]] = {
    words: f"voxface {example}"
    for words, example in {
        "voxface": "run clip.flac --out faces",
        "voxface run": "run clip.flac recordings/ --out faces --samples 8",
        "voxface live": "live --source talk.flac --realtime --show window",
        "voxface serve": "serve --port 8765",
        "voxface load": "load http://127.0.0.1:8765 --streams 8,16 --audio recordings/",
        "voxface devices": "devices --try",
        "voxface profile": "profile --seconds 10 --trace trace.json",
        "voxface doctor": "doctor --measure",
        "voxface provenance": "provenance faces/clip/face.png",
        "voxface bundle": "bundle info",
        "voxface bundle info": "bundle info my.voxface --card",
        "voxface bundle verify": "bundle verify my.voxface",
        "voxface bundle import": "bundle import --face-model FaceXModel --out ict.voxface",
        "voxface export": "export runs/encoder runs/mesh runs/portrait --out mine.voxface",
        "voxface calibrate": "calibrate mine.voxface --audio recordings/ --precision int8 --out small.voxface",
        "voxface build": "build mine.voxface --flavour tensorrt-rtx --out rtx.voxface",
        "voxface compare": "compare mine.voxface --against small.voxface --audio recordings/",
        "voxface train": "train voice-encoder --data pairs --out runs/encoder",
        "voxface train voice-encoder": "train voice-encoder --data voices --out runs/encoder",
        "voxface train face-gan": "train face-gan --data pairs --encoder runs/encoder --preset modern --out runs/gan",
        "voxface train mesh": "train mesh --data pairs --encoder runs/encoder --out runs/mesh",
        "voxface train joint": "train joint --data pairs --encoder runs/encoder --expert runs/expert --out runs/joint",
        "voxface train portrait": "train portrait --data pairs --encoder runs/encoder --mesh runs/mesh --out runs/portrait",
        "voxface train expert": "train expert --data pairs --out runs/expert",
        "voxface data": "data synth --people 160 --out pairs",
        "voxface data prepare": "data prepare --voices voices/ --photos photos/ --people people.csv --detector pts --out pairs",
        "voxface data synth": "data synth --count 1000 --out faces",
        "voxface data voices": "data voices --speech recordings/ --noise noise/ --out voices",
        "voxface data fit": "data fit --landmarks marks.csv --out fitted.npz",
        "voxface completion": "completion bash > ~/.local/share/bash-completion/completions/voxface",
        **EVAL_EXAMPLES,
    }.items()
}
