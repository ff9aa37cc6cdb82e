"""An example of every suite of `voxface eval`."""

from collections.abc import Mapping
from typing import Final

_TO_RESULTS: Final = "--out results"

EVAL_EXAMPLES: Final[Mapping[str, str]] = {
    "voxface eval": f"eval all --quick --data pairs {_TO_RESULTS}",
    **{
        f"voxface eval {suite}": f"eval {suite} {inputs} {_TO_RESULTS}"
        for suite, inputs in {
            "speaker": "--speech recordings/",
            "geometry": "--bundle mine.voxface --data pairs",
            "realness": "--data pairs --critics runs/gan",
            "identity": "--bundle mine.voxface --data pairs",
            "attributes": "--data pairs",
            "matching": "--data pairs",
            "association": "--lists lists/ --embeddings vectors.npz",
            "duration": "--data pairs",
            "noise": "--data pairs --noise noise/",
            "segments": "--data pairs",
            "joint-gain": "--bundle joint.voxface --beside mine.voxface --data pairs",
            "images": "--data pairs --embedder arcface.onnx",
            "streaming": "--data pairs",
            "all": "--quick --data pairs",
        }.items()
    },
    "voxface eval recordings": "eval recordings --data pairs --out recordings.csv",
    "voxface eval preference": "eval preference --ours mine/ --theirs other/ --references people/ --out survey",
    "voxface eval report": "eval report results --out results.html",
    "voxface eval compare": "eval compare results other-results",
}
