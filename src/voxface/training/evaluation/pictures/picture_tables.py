"""Tables of pictures by a network: distances between sets (FID, KID), and likeness to the speakers' own pictures."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.pictures.face_networks import FaceNetwork
from voxface.training.evaluation.pictures.frechet import frechet_distance, gaussian
from voxface.training.evaluation.pictures.kernel_distance import kernel_distance
from voxface.training.evaluation.pictures.likeness import COLUMNS, Likeness, chance, gallery_of, likeness
from voxface.training.evaluation.pictures.picture_sets import Generated
from voxface.training.evaluation.result import Column, Measured, Row, Table

Float64 = NDArray[np.float64]
FID = "FID"
KID = "KID"


def distance_table(
    network: FaceNetwork,
    sets: Sequence[tuple[Generated, Float64]],
    real: Float64,
    other: Float64,
    seed: int,
    missing: list[str],
) -> Table:
    """FID and KID of each set from real pictures of the people that are evaluated.

    Args:
        sets: methods with their features.
        real: features of the real pictures.
        other: features of real pictures of other people, the limit; [0, d] where there are none, and halves are compared.
    """
    limit, against = (other, real) if len(other) > 1 else (real[::2], real[1::2])
    smallest = min([len(real), len(limit), len(against), *(len(features) for _, features in sets)])
    width = real.shape[1]
    count = smallest if smallest > width else 0
    if not count:
        missing.append(
            f"FID by {network.name}: more than {width} pictures a side are needed for {width} features, there are {smallest}"
        )

    def values(features: Float64, base: Float64) -> dict[str, Measured]:
        kid = kernel_distance(features, base, seed=seed)
        found = {KID: Measured(1000 * kid.value, sd=1000 * kid.sd, trials=len(features))}
        if count:
            drawn = np.random.default_rng([seed, 61])  # the same recordings of every method
            sides = [of[np.sort(drawn.permutation(len(of))[:count])] for of in (features, base)]
            found[FID] = Measured(frechet_distance(*gaussian(sides[0]), *gaussian(sides[1])), trials=count)
        return found

    rows = [Row(made.name, made.kind, values(features, real)) for made, features in sets]
    told = "real pictures of other people" if len(other) > 1 else "one half of the real pictures, from the other"
    rows.append(Row(told, "limit", values(limit, against)))
    columns = (*((Column(FID, "", "lower", 2),) if count else ()), Column(KID, "×10⁻³", "lower", 2))
    return Table(
        f"distance-{_slug(network.name)}",
        f"Distance of generated from real pictures, by {network.name}",
        columns,
        tuple(rows),
        (f"FID is of {count} pictures a side for every row, as it falls with their number. " if count else "")
        + "KID is of all pictures, ± the standard deviation over subsets. Both depend on the network: they compare with "
        "numbers of the same network on the same data only, and not with published FIDs, which are by Inception-v3.",
    )


def likeness_table(
    network: FaceNetwork,
    sets: Sequence[tuple[Generated, Float64]],
    person: NDArray[np.int32],
    real: Float64,
    real_person: NDArray[np.int32],
    pairs: Pairs,
    seed: int,
    missing: list[str],
) -> tuple[Table, dict[str, Likeness]]:
    """Likeness of each set's pictures, of recordings of people int32 [U], to real pictures [K, d] of the same people."""
    gallery, people = gallery_of(real, real_person)
    rows, found = [], {}
    for made, features in sets:
        found[made.name] = likeness(features, person, gallery, people, pairs.sexes)
        rows.append(Row(made.name, made.kind, found[made.name].row(seed)))
    ours, features = sets[0]
    dealt = np.random.default_rng([seed, 67]).permutation(len(person))
    rows.append(
        Row(
            f"{ours.name}, dealt out anew",
            "trivial",
            likeness(features[dealt], person, gallery, people, pairs.sexes).row(seed),
        )
    )
    rows.append(Row("guessing", "trivial", chance(len(people), np.bincount(pairs.sexes[people]))))
    limit = _leave_one_out(real, real_person, gallery, people, pairs)
    if limit is None:
        missing.append("likeness of real pictures, as a limit: people need two pictures each or more")
    else:
        rows.append(Row("another real picture of the person", "limit", limit.row(seed)))
    table = Table(
        f"likeness-{_slug(network.name)}",
        f"Likeness of generated faces to the speaker's real pictures, by {network.name}",
        COLUMNS,
        tuple(rows),
        f"Gallery: {len(people)} people, for each the mean of the features of their pictures. R@k: the speaker is among the k "
        "most alike. Rank: share of the other people who are less alike; within sex: among people of the speaker's sex, where "
        "knowing the sex gains nothing. Intervals are over people.",
    )
    return table, found


def _leave_one_out(
    real: Float64, person: NDArray[np.int32], gallery: Float64, people: NDArray[np.integer], pairs: Pairs
) -> Likeness | None:
    """Each real picture against a gallery whose entry of its person is of the others; None without such pictures."""
    counts = {int(i): int((person == i).sum()) for i in people}
    chosen = [k for k, i in enumerate(person) if counts[int(i)] > 1][:1000]
    if not chosen:
        return None
    parts = []
    for k in chosen:
        i = person[k]
        own = (person == i) & (np.arange(len(person)) != k)
        changed = gallery.copy()
        changed[people == i] = gallery_of(real[own], person[own])[0]
        parts.append(likeness(real[k : k + 1], person[k : k + 1], changed, people, pairs.sexes))
    return Likeness(
        person[chosen],
        np.concatenate([part.cosine for part in parts]),
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.rank for part in parts]),
        np.concatenate([part.rank_within_sex for part in parts]),
    )


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")
