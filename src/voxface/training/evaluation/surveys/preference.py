"""Which of two methods people prefer: the test of Wu et al. 2022, Eq. 8, and how many answers it needs."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SIGNIFICANCE: Final = 0.001  # γ of Wu et al. 2022
LARGEST: Final = 1_000_000  # answers: beyond it a binomial is as good as normal, and nobody asks so many


@dataclass(frozen=True)
class Preference:
    """What the answers to "ours or theirs?" say.

    Attributes:
        ours: answers for ours.
        answers: answers in all.
        threshold: the fewest answers for ours at which it is preferred (Eq. 8).
        p_value: chance of at least as many answers for ours if nobody prefers either, one-sided.
    """

    ours: int
    answers: int
    threshold: int
    p_value: float

    @property
    def preferred(self) -> bool:
        """Whether ours is significantly preferred."""
        return self.ours >= self.threshold

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "ours": self.ours,
            "answers": self.answers,
            "threshold": self.threshold,
            "p_value": self.p_value,
            "preferred": self.preferred,
        }


def preference(ours: int, answers: int, significance: float = SIGNIFICANCE) -> Preference:
    """Tests whether ours is preferred (Wu et al. 2022, Eq. 8).

    Every answer counts as independent, as in the paper; a subject's ten answers are not, so give the interval over subjects
    beside it.

    Raises:
        ValueError: not 0 ≤ ours ≤ answers, no answers, or a significance outside 0–1.
    """
    if not 0 <= ours <= answers:
        raise ValueError(f"{ours} of {answers} answers")
    upper = _at_least(answers)
    return Preference(ours, answers, threshold(answers, significance), float(upper[ours]))


def threshold(answers: int, significance: float = SIGNIFICANCE) -> int:
    """b(1 − significance) of Eq. 8: the quantile of the binomial distribution with p = 0.5; 831 of 1,540 answers.

    Raises:
        ValueError: no answers, or a significance outside 0–1.
    """
    if not 0 < significance < 1:
        raise ValueError(f"a significance of {significance} does not lie between 0 and 1")
    upper = _at_least(answers)
    # The smallest k with P(X ≤ k) ≥ 1 − γ, hence P(X ≥ k + 1) ≤ γ; that is exact in the tail, where 1 − P is not.
    return int(np.argmax(np.append(upper[1:], 0) <= significance))


def power(answers: int, preferred: float, significance: float = SIGNIFICANCE) -> float:
    """Chance that the test finds ours preferred if each answer is for it with probability `preferred`.

    Raises:
        ValueError: no answers, or a probability outside 0–1.
    """
    return float(_at_least(answers, preferred)[threshold(answers, significance)])


def answers_needed(preferred: float, *, power_wanted: float = 0.8, significance: float = SIGNIFICANCE) -> int:
    """The fewest answers, to a part in a hundred, with which the test has a power of `power_wanted`.

    Raises:
        ValueError: a preference of at most 0.5 (no number of answers will do), one of 1 or more, or too near to 0.5.
    """
    if not 0.5 < preferred < 1:
        raise ValueError(f"a preference of {preferred} is not between 0.5 and 1")
    if not 0 < power_wanted < 1:
        raise ValueError(f"a power of {power_wanted} does not lie between 0 and 1")
    few, many = 0, 1
    while power(many, preferred, significance) < power_wanted:
        few, many = many, 2 * many
        if many > LARGEST:
            raise ValueError(f"a preference of {preferred} is too near to 0.5: it takes more than {LARGEST:,} answers")
    while many - few > max(1, few // 100):
        middle = (few + many) // 2
        if power(middle, preferred, significance) < power_wanted:
            few = middle
        else:
            many = middle
    return many


def _at_least(answers: int, p: float = 0.5) -> NDArray[np.float64]:
    """P(X ≥ k) for k = 0 … answers, X binomial, [answers + 1]."""
    if not 0 < answers <= LARGEST:
        raise ValueError(f"{answers} answers; 1 to {LARGEST:,} are expected")
    if not 0 < p < 1:
        raise ValueError(f"a probability of {p} does not lie between 0 and 1")
    k = np.arange(answers + 1)
    factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, answers + 1)))))  # its logarithm
    density = np.exp(factorial[-1] - factorial - factorial[::-1] + k * np.log(p) + k[::-1] * np.log1p(-p))
    upper: NDArray[np.float64] = np.cumsum(density[::-1])[::-1]  # small terms first
    return np.minimum(1, upper)
