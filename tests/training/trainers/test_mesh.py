"""Triplets of voices, and the supervised training of Wu 2022."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.small_pairs import small_pairs  # noqa: E402
from tests.training.seeds import varied  # noqa: E402
from voxface.runtime.errors import InputError, UsageError  # noqa: E402
from voxface.training.data.fits import NO_PICTURE, Fits  # noqa: E402
from voxface.training.data.pairs import Pairs, Person  # noqa: E402
from voxface.training.engine.best_state import BestState  # noqa: E402
from voxface.training.engine.run import RunConfig  # noqa: E402
from voxface.training.engine.trained_networks import describe, load_network  # noqa: E402
from voxface.training.losses import coefficient_loss, triplet_loss  # noqa: E402
from voxface.training.models import MeshRegressor, VoiceEncoder  # noqa: E402
from voxface.training.trainers import mesh as mesh_trainer  # noqa: E402
from voxface.training.trainers.mesh import PRESETS, MeshConfig, train_mesh  # noqa: E402
from voxface.training.trainers.triplets import Partners, VoiceTriplets  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]
QUICK = RunConfig(seed=varied(), accelerator="cpu", log_every=1, checkpoint_every=1000)


def encoder() -> VoiceEncoder:
    torch.manual_seed(varied(5))
    return VoiceEncoder(channels=(12, 12, 12, 12), embedding=16)


class Ears(torch.nn.Module):
    """Hears in which bins a small person's band of energy lies; its batch normalisation drifts where it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(64)

    def forward(self, log_mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        columns = self.norm(log_mel) * log_mel.mean(1, keepdim=True)
        return torch.nn.functional.normalize(columns.mean(2), dim=1), columns


def config(**changes: Any) -> MeshConfig:
    fields: dict[str, Any] = {
        "run": QUICK,
        "steps": 8,
        "batch": 6,
        "bank": 2,
        "crop": (40, 80),
        "validate_every": 4,
        "weight_decay": 0.05,
    }
    return dataclasses.replace(PRESETS["default"], **{**fields, **changes})


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


def two_of_a_speaker() -> Pairs:
    """The first two of eight people, all of them learnt from, are one speaker at two speeds."""
    pairs = small_pairs(8)
    people = tuple(Person(p.name, "s0" if i < 2 else p.speaker, p.sex, "train") for i, p in enumerate(pairs.people))
    return dataclasses.replace(pairs, people=people)


@pytest.mark.parametrize("bank", [0, 2])
@pytest.mark.parametrize("partners", ["drawn", "batch"])
def test_positives_are_the_same_person_and_negatives_another_speaker(
    bank: int, partners: Partners, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = two_of_a_speaker()
    voices = VoiceTriplets(
        pairs, encoder(), pairs.split("train"), bank=bank, crop=(40, 60), seed=0, device=torch.device("cpu"), say=print
    )
    rows_drawn: list[Any] = []
    heard = voices._input
    monkeypatch.setattr(voices, "_input", lambda rows, rng: rows_drawn.append(rows) or heard(rows, rng))
    speaker = np.array([p.speaker for p in pairs.people])
    each = max(bank, 1)  # rows of every utterance; utterances are in the order of their people here
    recordings = pairs.utterance_recording.repeat(each)
    asked = set()
    for seed in range(15):
        drawn = voices.draw(12, np.random.default_rng(seed), partners)
        rows = rows_drawn[-1]
        assert drawn.anchors == 12
        assert drawn.embeddings.shape == (36 if partners == "drawn" else 12, 16)
        assert drawn.embeddings.norm(dim=1).numpy() == pytest.approx(1, abs=1e-5)
        person, positive, negative = drawn.person, drawn.positive.numpy(), drawn.negative.numpy()
        assert (person[positive] == person[:12]).all()
        assert (recordings[rows[positive]] != recordings[rows[:12]]).all()  # everybody has three
        assert (speaker[person[negative]] != speaker[person[:12]]).all()
        asked |= set(person[:12].tolist())
    assert asked == set(range(8))


@pytest.mark.parametrize("bank", [0, 2])
def test_anchors_of_utterances_come_as_often_as_people_have_some(bank: int) -> None:
    pairs = two_of_a_speaker()
    talkative = np.where(pairs.utterance_person < 4, 0, pairs.utterance_person).astype(np.int32)  # 16 of 32 are one's
    pairs = dataclasses.replace(pairs, utterance_person=talkative)
    voices = VoiceTriplets(
        pairs, encoder(), pairs.split("train"), bank=bank, crop=(40, 60), seed=0, device=torch.device("cpu"), say=print
    )
    share = {}
    for anchors in ("people", "utterances"):
        drawn = [voices.draw(20, np.random.default_rng(k), "drawn", anchors) for k in range(20)]  # type: ignore[arg-type]
        share[anchors] = np.mean([(triplets.person[:20] == 0).mean() for triplets in drawn])
    assert share["people"] == pytest.approx(1 / 5, abs=0.06)
    assert share["utterances"] == pytest.approx(1 / 2, abs=0.06)


def test_triplets_need_two_speakers() -> None:
    pairs = two_of_a_speaker()
    with pytest.raises(InputError, match="two speakers"):
        VoiceTriplets(
            pairs, encoder(), np.array([0, 1]), bank=0, crop=(40, 60), seed=0, device=torch.device("cpu"), say=print
        )


def test_the_papers_head_is_one_linear_map_and_others_keep_their_names() -> None:
    head = MeshRegressor(50, hidden=0)
    assert {name: tuple(value.shape) for name, value in head.state_dict().items()} == {
        "model.1.weight": (50, 64),
        "model.1.bias": (50,),
    }
    assert head.model[0].p == 0.2
    assert list(MeshRegressor(50).state_dict()) == ["model.0.weight", "model.0.bias", "model.3.weight", "model.3.bias"]
    assert PRESETS["wu2022"].hidden == 0
    assert (PRESETS["wu2022"].over, PRESETS["wu2022"].anchors) == ("utterance", "utterances")
    assert (PRESETS["wu2022"].regression, PRESETS["wu2022"].triplet, PRESETS["wu2022"].margin) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("bank", [0, 2])
def test_losses_are_equations_2_and_3_on_the_drawn_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bank: int
) -> None:
    pairs, seen = small_pairs(8), []
    monkeypatch.setattr(
        mesh_trainer, "coefficient_loss", lambda a, t: seen.append((a.detach(), t)) or coefficient_loss(a, t)
    )
    monkeypatch.setattr(
        mesh_trainer, "triplet_loss", lambda *x: seen.append([t.detach() for t in x[:3]]) or triplet_loss(*x)
    )
    train_mesh(pairs, encoder(), config(steps=3, regression=2.0, triplet=3.0, margin=0.5, bank=bank), tmp_path / "run")
    truth = {tuple(row) for row in pairs.coefficients[pairs.split("train")].tolist()}
    for point, (alpha, target), (anchor, positive, negative) in zip(
        curve(tmp_path / "run"), seen[::2], seen[1::2], strict=True
    ):
        assert {tuple(row) for row in target.tolist()} <= truth
        assert torch.equal(alpha, anchor)
        regression = np.square(alpha.numpy() - target.numpy()).sum(1).mean()
        near, far = (np.linalg.norm(anchor.numpy() - other.numpy(), axis=1) for other in (positive, negative))
        triplet = np.maximum(near - far + 0.5, 0).mean()
        assert point["regression"] == pytest.approx(regression, rel=1e-5)
        assert point["triplet"] == pytest.approx(triplet, rel=1e-5)
        assert point["loss"] == pytest.approx(2 * regression + 3 * triplet, rel=1e-5)


@pytest.mark.learns
def test_it_learns_the_faces_and_leaves_the_encoder_alone(tmp_path: Path) -> None:
    pairs, voice_encoder = small_pairs(16), Ears().train()
    before = {name: value.clone() for name, value in voice_encoder.state_dict().items()}
    settings = config(
        steps=100, batch=16, rate=3e-2, validate_every=10, triplet=0.1, hidden=0, keep="best", shrink=False
    )
    trained = train_mesh(pairs, voice_encoder, settings, tmp_path / "run")
    # With validations in between: parameters, running statistics and counters, bit for bit.
    assert all(torch.equal(before[name], value) for name, value in voice_encoder.state_dict().items())
    assert not voice_encoder.training
    assert all(p.grad is None and not p.requires_grad for p in voice_encoder.parameters())

    points = curve(tmp_path / "run")
    assert points[-1]["regression"] < 0.3 * points[0]["regression"]
    # What is given back is the state with the best error on the validation people.
    errors = [p["validation/rms_mm"] for p in points if "validation/rms_mm" in p]
    assert len(errors) == 10
    about = json.loads((tmp_path / "run" / "checkpoint.json").read_text())
    assert about["metrics"]["validation"]["rms_mm"] == pytest.approx(min(errors), rel=1e-6)
    assert about["metrics"]["test"]["trivial"]["are"] > 0
    assert about["config"]["target"] == "drawn"

    again = load_network(tmp_path / "run", "mesh")
    embedding = torch.nn.functional.normalize(torch.randn(3, 64), dim=1)
    assert not trained.training
    assert torch.equal(again(embedding), trained(embedding))


def test_the_expected_target_is_the_worlds_conditional_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = small_pairs(8)
    pairs = dataclasses.replace(pairs, expected=pairs.coefficients + 5)
    seen = []
    monkeypatch.setattr(mesh_trainer, "coefficient_loss", lambda a, t: seen.append(t) or coefficient_loss(a, t))
    train_mesh(pairs, encoder(), config(steps=1, target="expected"), tmp_path / "run")
    rows = {tuple(row) for row in pairs.expected[pairs.split("train")].tolist()}
    assert {tuple(row) for row in seen[0].tolist()} <= rows
    unknown = dataclasses.replace(pairs, expected=np.full_like(pairs.expected, np.nan))
    with pytest.raises(InputError, match="expected faces"):
        train_mesh(unknown, encoder(), config(target="expected"), tmp_path / "other")


def several_fits(pairs: Pairs) -> Fits:
    """Three faces of the first person of the training and one of the second, far from their references and each other."""
    first, second = pairs.split("train")[:2]
    person = np.array([first, second, first, first], np.int32)
    coefficients = np.arange(10, 14, dtype=np.float32)[:, None] + np.zeros((4, pairs.morphable.modes), np.float32)
    return Fits(coefficients, np.full_like(coefficients, np.nan), person, np.full(4, NO_PICTURE, np.int32))


def test_a_fit_of_the_person_is_drawn_at_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = small_pairs(8)
    pairs = dataclasses.replace(plain, fits=several_fits(plain))
    seen: list[Any] = []
    monkeypatch.setattr(mesh_trainer, "coefficient_loss", lambda a, t: seen.append(t) or coefficient_loss(a, t))

    def targets(name: str, pairs: Pairs = pairs, **changes: Any) -> list[float]:
        seen.clear()
        train_mesh(pairs, encoder(), config(steps=12, **changes), tmp_path / name)
        return [float(value) for value in torch.cat(seen)[:, 0]]  # the first coefficient tells a face

    drawn = targets("drawn", fits="drawn")
    assert drawn == targets("again", fits="drawn")
    assert {10, 11, 12, 13} <= set(drawn)
    reference = plain.coefficients[:, 0].tolist()
    first, second, *others = plain.split("train").tolist()
    assert reference[first] not in drawn
    assert reference[second] not in drawn
    assert {reference[i] for i in others} <= set(drawn), "who has no fit keeps the reference"
    references = targets("reference")
    assert max(references) < 10
    assert references == targets("without", plain, fits="drawn")
    # The same people are drawn, in the same order, whatever is drawn of them.
    owner = {reference[i]: i for i in range(8)} | {10: first, 11: second, 12: first, 13: first}
    assert [owner[value] for value in drawn] == [owner[value] for value in references]
    assert mesh_trainer.PRESETS["wu2022"].fits == "drawn"
    expected = dataclasses.replace(pairs, expected=plain.coefficients)
    assert max(targets("expected", expected, fits="drawn", target="expected")) < 10


def test_people_without_a_face_are_left_out(tmp_path: Path) -> None:
    pairs = small_pairs(8)
    said: list[str] = []
    faceless = int(pairs.split("train")[0])
    faces = pairs.coefficients.copy()
    faces[faceless] = np.nan
    holes = dataclasses.replace(pairs, coefficients=faces)
    train_mesh(holes, encoder(), config(steps=1), tmp_path / "run", say=said.append)
    learnt = len(pairs.split("train"))
    assert f"1 of {learnt} people have no face and are left out" in said
    assert describe(tmp_path / "run")["trained_on"][0].startswith(f"{learnt - 1} ")
    nobody = dataclasses.replace(pairs, coefficients=np.full_like(faces, np.nan))
    with pytest.raises(InputError, match="the drawn faces of nobody here are known; --set target=expected"):
        train_mesh(nobody, encoder(), config(steps=1), tmp_path / "none")
    nobody = dataclasses.replace(nobody, expected=nobody.coefficients)  # as where only voices were prepared
    with pytest.raises(InputError, match="prepare the pairs with --photos and a --detector"):
        train_mesh(nobody, encoder(), config(steps=1), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_voices_at_other_speeds_are_learnt_from_only_where_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = small_pairs(8)
    people = tuple(dataclasses.replace(p, name=f"{p.name}@1.1") if i == 1 else p for i, p in enumerate(pairs.people))
    pairs, heard = dataclasses.replace(pairs, people=people), []
    original = VoiceTriplets.finish

    def finish(self: VoiceTriplets, *arguments: Any) -> Any:
        heard.append(set(self.people.tolist()))
        return original(self, *arguments)

    monkeypatch.setattr(VoiceTriplets, "finish", finish)
    for altered in (False, True):
        train_mesh(pairs, encoder(), config(steps=1, altered=altered), tmp_path / str(altered))
    assert heard == [{0, 2, 3}, {0, 1, 2, 3}]


def test_batches_made_ahead_change_nothing(tmp_path: Path) -> None:
    trained = [
        train_mesh(
            small_pairs(8),
            encoder(),
            config(bank=0, run=dataclasses.replace(QUICK, ahead=ahead)),
            tmp_path / str(ahead),
        )
        for ahead in (0, 3)
    ]
    for one, other in zip(*(network.parameters() for network in trained), strict=True):
        assert torch.equal(one, other)


def test_going_on_is_the_same_as_never_having_stopped(tmp_path: Path) -> None:
    pairs, settings = small_pairs(8), config(steps=8, schedule="constant", validate_every=3)
    whole = train_mesh(pairs, encoder(), settings, tmp_path / "whole")
    train_mesh(pairs, encoder(), dataclasses.replace(settings, steps=5), tmp_path / "parts")
    parts = train_mesh(pairs, encoder(), settings, tmp_path / "parts", resume=True)
    after = [p for p in curve(tmp_path / "parts") if p["step"] >= 5]
    assert after == [p for p in curve(tmp_path / "whole") if p["step"] >= 5]
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))


def test_best_keeps_the_lowest() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    best = BestState(network)
    with torch.no_grad():
        for value, score in ((1.0, 3.0), (2.0, 1.0), (3.0, 2.0), (4.0, float("nan"))):
            network.weight.fill_(value)
            best.offer(network, score)
    assert best(torch.ones(1, 1)).item() == 2.0
    assert best.score.item() == 1.0
    other = BestState(network)
    other.load_state_dict(best.state_dict())
    assert not other.offer(network, 1.5)


def test_settings_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="validate_every"):
        MeshConfig(validate_every=0)
