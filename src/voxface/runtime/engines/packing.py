"""Steps of several voices carried out together: runs of one graph on inputs of one shape become one run of a batch.

A batch saves what every run costs beside its arithmetic, and reads weights once for several voices. ONNX Runtime on a CPU
computes the convolutions of each item of a batch as it would alone, to the last bit.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np

from voxface.runtime.engines.engine import Array
from voxface.runtime.engines.steps import EngineRun, Result, Steps

# The graphs whose runs are put together. The generator is not one: most pictures are reused, and on a CPU its activations for
# several voices do not stay in the cache, so that a batch of INT8 takes longer than its parts. Nor is the mesh network: a
# product with several rows may add in another order than with one, and 0.04 ms a voice are not worth that.
PACKED: Final = frozenset({"encoder"})

Outcome: TypeAlias = Result | Exception


def carried_out(
    work: Sequence[Steps[Result]],
    *,
    packed: frozenset[str] = PACKED,
    counted: Callable[[str, int], None] = lambda graph, size: None,
    ended: Callable[[int, Outcome[Result]], None] = lambda place, outcome: None,
) -> list[Outcome[Result]]:
    """What each of several pieces of work gives, or the exception that ended it.

    They go on in turns: each up to the run that it needs next, then all of these runs. An engine that raises on a batch is
    given its parts, so that what one voice's input does to it is no other voice's.

    Args:
        work: the steps of each.
        packed: names of the graphs whose runs are put together; the others run one by one.
        counted: gets the name of the graph and the number of runs in it, for each run of an engine.
        ended: gets the place in `work` of each that has just ended, and what it gave.
    """
    outcomes: dict[int, Outcome[Result]] = {}

    def go_on(place: int, step: Callable[[], EngineRun]) -> None:
        try:
            waiting[place] = step()
        except StopIteration as done:
            outcomes[place] = done.value
        except Exception as error:  # whatever it is, the others go on
            outcomes[place] = error
        else:
            return
        ended(place, outcomes[place])

    waiting: dict[int, EngineRun] = {}
    for place, steps in enumerate(work):
        go_on(place, lambda steps=steps: next(steps))  # type: ignore[misc]
    while waiting:
        packs: dict[object, list[int]] = {}
        for place, run in waiting.items():
            packs.setdefault(_kind(run) if run.graph in packed else place, []).append(place)
        runs, waiting = waiting, {}
        for places in packs.values():
            counted(runs[places[0]].graph, len(places))
            for place, answer in zip(places, _answers([runs[place] for place in places]), strict=True):
                resume = work[place].throw if isinstance(answer, Exception) else work[place].send
                go_on(place, lambda resume=resume, answer=answer: resume(answer))  # type: ignore[misc]
    return [outcomes[place] for place in range(len(work))]


def _kind(run: EngineRun) -> object:
    """What runs must have in common to be put together."""
    return (id(run.engine), *((name, array.shape[1:]) for name, array in run.feeds.items()))


def _answers(runs: list[EngineRun]) -> list[dict[str, Array] | Exception]:
    """The outputs of each of several runs of one kind, or what the engine raised."""
    if len(runs) > 1:
        began = time.perf_counter_ns()
        feeds = {name: np.concatenate([run.feeds[name] for run in runs]) for name in runs[0].feeds}
        try:
            outputs = runs[0].engine.run(feeds)
        except Exception:  # each is tried alone below, and that says what is wrong
            pass
        else:
            share = (time.perf_counter_ns() - began) // len(runs)
            answers: list[dict[str, Array] | Exception] = []
            at = 0
            for run in runs:
                run.share_ns = share
                end = at + len(next(iter(run.feeds.values())))
                answers.append({name: array[at:end] for name, array in outputs.items()})
                at = end
            return answers
    return [_alone(run) for run in runs]


def _alone(run: EngineRun) -> dict[str, Array] | Exception:
    began = time.perf_counter_ns()
    try:
        return run.engine.run(run.feeds)
    except Exception as error:  # an engine may raise anything; the work decides
        return error
    finally:
        run.share_ns = time.perf_counter_ns() - began
