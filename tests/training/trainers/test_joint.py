"""The joint training of Wu 2022: what moves what, what is summed, and the defects of the published code, which ours has not."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from tests.stand_ins.small_pairs import small_pairs  # noqa: E402
from tests.training.seeds import varied  # noqa: E402
from voxface.runtime.errors import InputError, UsageError  # noqa: E402
from voxface.training.engine.run import Run, RunConfig, bare  # noqa: E402
from voxface.training.engine.trained_networks import identities_of, load_network  # noqa: E402
from voxface.training.losses import divergence, published_divergence, triplet_loss  # noqa: E402
from voxface.training.models import FaceGenerator, VoiceEncoder  # noqa: E402
from voxface.training.models.experts.expert import Expert, Geometry  # noqa: E402
from voxface.training.models.experts.own import ImageToFace, Trunk  # noqa: E402
from voxface.training.models.frozen import Frozen  # noqa: E402
from voxface.training.trainers import joint as joint_trainer  # noqa: E402
from voxface.training.trainers.joint import (  # noqa: E402
    PRESETS,
    JointConfig,
    JointNetworks,
    JointWeights,
    mean_expert_coefficients,
    train_joint,
)
from voxface.training.trainers.vertex_norms import VertexNorms  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]
QUICK = RunConfig(seed=varied(), accelerator="cpu", log_every=1, checkpoint_every=1000)
PAPER = JointWeights()


class SmallStudent(Expert):
    """Quick to train, in place of `ImageToFace`; with batch normalisation and dropout as that has."""

    def __init__(self, coefficients: int, size: int = 16, trunk: str = "small") -> None:
        super().__init__()
        self.coefficients, self.size, self.trunk_name = coefficients, size, trunk
        self.trunk = nn.Sequential(nn.Conv2d(3, 6, 5, 4), nn.BatchNorm2d(6), nn.ReLU6(), nn.Dropout(0.2))
        self.shape, self.pose = nn.Linear(6, coefficients), nn.Linear(6, 12)

    def forward(self, images: Tensor) -> Geometry:
        middle = self.trunk(images)
        pooled = middle.mean((2, 3))
        return Geometry(self.shape(pooled), self.pose(pooled), pooled, middle.flatten(1))


class Watched(SmallStudent):
    """An expert that remembers what it was asked, and in which state."""

    def __init__(self, coefficients: int = 2) -> None:
        super().__init__(coefficients)
        self.asked: list[Tensor] = []
        self.told: list[Geometry] = []
        self.states: set[tuple[bool, bool, bool]] = set()

    def forward(self, images: Tensor) -> Geometry:
        told = super().forward(images)
        self.asked.append(images)
        self.told.append(told)
        self.states.add((self.training, images.requires_grad, told.coefficients.requires_grad))
        return told


def encoder() -> VoiceEncoder:
    torch.manual_seed(varied(5))
    return VoiceEncoder(channels=(12, 12, 12, 12))


def config(preset: str = "wu2022", **changes: Any) -> JointConfig:
    fields: dict[str, Any] = {
        "run": QUICK,
        "steps": 2,
        "batch": 4,
        "bank": 1,
        "crop": (40, 80),
        "validate_every": 2,
        "channels": (16, 12, 8, 8, 8),
        "critic": (4, 6, 8, 8, 8),
        "student_size": 16,
        "student": "scratch",
    }
    return dataclasses.replace(PRESETS[preset], **{**fields, **changes})


def train(folder: Path, settings: JointConfig, expert: nn.Module | None = None, **more: Any) -> JointNetworks:
    return train_joint(small_pairs(8), encoder(), expert or Watched(), settings, folder / "run", **more)


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "run" / "curve.jsonl").read_text().splitlines()]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The student is a small one."""
    monkeypatch.setattr(joint_trainer, "ImageToFace", SmallStudent)


def state(run: Run) -> dict[str, dict[str, Tensor]]:
    return {
        name: {key: value.clone() for key, value in bare(network).named_parameters()}
        for name, network in run._networks.items()
    }


@pytest.mark.parametrize("preset", list(PRESETS))
def test_which_step_moves_which_network(
    preset: str, small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved, named, descend = [], [], Run.descend

    def watched(run: Run, loss: Tensor, *optimisers: Any, **more: Any) -> None:
        before = state(run)
        descend(run, loss, *optimisers, **more)
        after = state(run)
        moved.append({n for n in before if any(not torch.equal(before[n][k], after[n][k]) for k in before[n])})
        named.append({name for name, optimiser in run._optimisers.items() if optimiser in optimisers})

    monkeypatch.setattr(Run, "descend", watched)
    train(tmp_path, config(preset))
    judging, making = {"critic", "discriminator", "classifier"}, {"generator", "student"}
    assert moved == named == [judging, making, judging, making]


def test_the_average_moves_after_the_step_and_is_what_is_given(small: None, tmp_path: Path) -> None:
    # β at the first update is 0.1, at the second 2/11: the mean of generators after 0, 1 and 2 steps.
    steps = []
    for count in range(3):
        given = train(tmp_path / str(count), config(steps=count, average=0.0)).generator.state_dict()
        steps.append({key: value.double() for key, value in given.items()})
    given = train(tmp_path / "average", config(steps=2, average=0.999)).generator.state_dict()
    for key, value in given.items():
        first = 0.1 * steps[0][key] + 0.9 * steps[1][key]
        assert torch.allclose(value.double(), 2 / 11 * first + 9 / 11 * steps[2][key], atol=1e-6)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_mixed_precision_trains_and_goes_on(preset: str, small: None, tmp_path: Path) -> None:
    """With weights on every loss, so that each of them meets bfloat16."""
    mixed = dataclasses.replace(QUICK, precision="bf16-mixed")
    settings = config(preset, steps=4, run=mixed, weights=JointWeights(pictures=1.0), batch=4)
    expert = SmallStudent(2).eval()
    whole = train(tmp_path / "whole", settings, expert)
    for value in whole.student.state_dict().values():
        assert not value.is_floating_point() or (value.dtype == torch.float32 and bool(torch.isfinite(value).all()))
    points = curve(tmp_path / "whole")
    assert len(points) == 4
    assert all(np.isfinite(list(point.values())).all() for point in points)
    train(tmp_path / "cut", dataclasses.replace(settings, steps=2), expert)
    train(tmp_path / "cut", settings, expert, resume=True)
    assert [point["loss"] for point in curve(tmp_path / "cut")] == [point["loss"] for point in points]
    # It is not 32-true under another name.
    plain = train(tmp_path / "plain", dataclasses.replace(settings, run=QUICK), expert)
    assert any(
        not torch.equal(one, other)
        for one, other in zip(whole.student.parameters(), plain.student.parameters(), strict=True)
    )
    assert points[0]["loss"] == pytest.approx(curve(tmp_path / "plain")[0]["loss"], rel=0.05)


WEIGHTS = JointWeights(2.0, 3.0, 5.0, 7.0, 11.0, 13.0)


@pytest.mark.learns
@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_weight_reaches_the_sum(preset: str, small: None, tmp_path: Path) -> None:
    train(tmp_path, config(preset, weights=WEIGHTS))
    for point in curve(tmp_path):
        parts = {name: weight * point[name] for name, weight in dataclasses.asdict(WEIGHTS).items()}
        assert point["loss"] == pytest.approx(sum(parts.values()), rel=1e-5)
        assert all(value > 0 for value in parts.values())


@pytest.mark.learns
@pytest.mark.parametrize("name", list(dataclasses.asdict(WEIGHTS)))
def test_every_loss_is_felt(name: str, small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, each loss moves the generator; the student only where it has a part in the loss."""
    moved: dict[str, bool] = {}
    descend = Run.descend

    def watched(run: Run, loss: Tensor, *optimisers: Any, **more: Any) -> None:
        descend(run, loss, *optimisers, **more)
        for key in ("generator", "student"):
            gradients = [p.grad for p in run._networks[key].parameters() if p.grad is not None]
            moved[key] = any(bool(g.abs().max() > 0) for g in gradients)

    monkeypatch.setattr(Run, "descend", watched)
    only = JointWeights(**{key: float(key == name) for key in dataclasses.asdict(WEIGHTS)})
    train(tmp_path, config(weights=only, steps=1))
    assert moved == {"generator": True, "student": name not in ("adversarial", "classification")}


# -- defects of the published code (of Wu 2022) --------------------------------------------------------------------------------


def test_positives_and_negatives_are_of_the_right_people(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, finish = [], joint_trainer.VoiceTriplets.finish
    monkeypatch.setattr(joint_trainer.VoiceTriplets, "finish", lambda *args: drawn.append(finish(*args)) or drawn[-1])
    seen = []
    monkeypatch.setattr(joint_trainer, "triplet_loss", lambda *args: seen.append(args[:3]) or triplet_loss(*args))
    for preset in PRESETS:
        train(tmp_path / preset, config(preset, triplet_on="coefficients", steps=4))
    speaker = np.array([person.speaker for person in small_pairs(8).people])
    assert len(drawn) == len(seen) == 4 * len(PRESETS)
    for triplets, (anchor, positive, negative) in zip(drawn, seen, strict=True):
        person = triplets.person
        assert (person[triplets.positive.numpy()] == person[:4]).all()
        assert (speaker[person[triplets.negative.numpy()]] != speaker[person[:4]]).all()
        assert anchor.shape == positive.shape == negative.shape == (4, 2)  # each sample is all its coefficients


def test_norms_of_vertices_from_coefficients() -> None:
    model = small_pairs(4).morphable
    rng = np.random.default_rng(0)
    alpha, other = (torch.from_numpy(rng.normal(size=(3, 2)).astype(np.float32)) for _ in range(2))
    space = VertexNorms(model)
    pixels = [0.5920184 * model.vertices(x.numpy()).transpose(0, 2, 1) for x in (alpha, other)]  # [3, 3, N]
    off = pixels[0] - pixels[1]
    np.testing.assert_allclose((space(alpha) - space(other)).norm(dim=2), np.linalg.norm(off, axis=2), rtol=1e-4)
    assert space.mean_squared(alpha, other).item() == pytest.approx(np.square(off).mean(), rel=1e-4)


def test_the_published_preset_computes_what_the_published_code_does(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, finish = [], joint_trainer.VoiceTriplets.finish
    monkeypatch.setattr(joint_trainer.VoiceTriplets, "finish", lambda *args: drawn.append(finish(*args)) or drawn[-1])
    seen: list[Geometry] = []
    forward = SmallStudent.forward
    monkeypatch.setattr(SmallStudent, "forward", lambda self, x: seen.append(forward(self, x)) or seen[-1])
    model = small_pairs(8).morphable
    train(tmp_path, config("published", steps=1, margin=50.0), SmallStudent(2).eval())
    at = [told.coefficients.requires_grad for told in seen].index(True)
    student, expert = seen[at], seen[at + 1]
    (point,) = curve(tmp_path)
    pixels = 0.5920184 * model.vertices(student.coefficients.detach().numpy()).transpose(0, 2, 1)
    near, far = (
        np.linalg.norm(pixels[:4] - pixels[index.numpy()], axis=2) for index in (drawn[0].positive, drawn[0].negative)
    )
    assert point["triplet"] == pytest.approx(np.maximum(near - far + 50, 0).mean(), rel=1e-3)
    off = pixels[:4] - 0.5920184 * model.vertices(expert.coefficients.numpy()).transpose(0, 2, 1)
    assert point["pseudo_truth"] == pytest.approx(np.square(off).mean(), rel=1e-3)
    both = sum(
        published_divergence(e, s[:4]).item()
        for e, s in ((expert.pooled, student.pooled), (expert.middle, student.middle))
    )
    assert point["divergence"] == pytest.approx(both, rel=1e-4)


def test_the_expert_is_the_reference_of_the_divergence(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, expert = [], Watched()
    monkeypatch.setattr(
        joint_trainer, "divergence", lambda e, s: asked.append((e, s, divergence(e, s))) or asked[-1][2]
    )
    train(tmp_path, config(steps=1), expert)
    told = expert.told[-1]
    assert [torch.equal(e, own) for (e, _, _), own in zip(asked, (told.pooled, told.middle), strict=True)] == [True] * 2
    for reference, student, value in asked:
        assert student.requires_grad
        assert not reference.requires_grad
        # KL(expert ‖ student), written out.
        rows = []
        for features in (reference, student.detach()):
            unit = F.normalize(features.double(), dim=1)
            kernel = (1 + unit @ unit.T) / 2
            kernel.fill_diagonal_(0)
            rows.append(kernel / kernel.sum(0))
        off = ~torch.eye(4, dtype=torch.bool)
        kl = (rows[0][off] * (rows[0][off] / rows[1][off]).log()).sum() / 4
        assert value.item() == pytest.approx(kl.item(), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(("fakes", "rows"), [(True, 8), (False, 4)])
def test_the_classifier_learns_from_fakes_where_the_paper_says_so(
    fakes: bool, rows: int, small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, losses = [], []
    forward, cross_entropy = joint_trainer.Classifier.forward, F.cross_entropy
    monkeypatch.setattr(
        joint_trainer.Classifier, "forward", lambda self, x: seen.append(x.detach()) or forward(self, x)
    )
    monkeypatch.setattr(F, "cross_entropy", lambda x, y: losses.append((x, y)) or cross_entropy(x, y))
    train(tmp_path, config(classify_fakes=fakes, steps=1))
    assert [len(x) for x in seen] == [rows, 4]  # its own step, the generator's
    assert len(losses) == (3 if fakes else 2)
    assert all(torch.equal(label, losses[0][1]) for _, label in losses)  # a fake is of the voice's person
    assert (PRESETS["wu2022"].classify_fakes, PRESETS["published"].classify_fakes) == (True, False)


def test_the_encoder_stays_as_it_is_through_validations(small: None, tmp_path: Path) -> None:
    voice_encoder = encoder().train()
    before = {key: value.clone() for key, value in voice_encoder.state_dict().items()}
    settings = config(steps=4, bank=0, validate_every=1)
    train_joint(small_pairs(8), voice_encoder, Watched(), settings, tmp_path / "run")
    assert [("validation/are" in point) for point in curve(tmp_path)] == [True] * 4
    assert all(torch.equal(before[key], value) for key, value in voice_encoder.state_dict().items())
    assert not voice_encoder.training
    assert all(parameter.grad is None for parameter in voice_encoder.parameters())


def test_the_expert_is_detached_in_eval_mode_and_never_moved(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expert, targets = Watched().train(), []
    before = {key: value.clone() for key, value in expert.state_dict().items()}
    coefficient_loss = joint_trainer.coefficient_loss
    monkeypatch.setattr(
        joint_trainer, "coefficient_loss", lambda a, t: targets.append((a, t)) or coefficient_loss(a, t)
    )
    train(tmp_path, config("published", steps=3, validate_every=1), expert)
    assert all(torch.equal(before[key], value) for key, value in expert.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in expert.parameters())
    assert expert.states == {(False, False, False)}
    gradients = [target.requires_grad for _, target in targets]
    assert gradients == [False] * len(targets)
    assert all(alpha.requires_grad for alpha, _ in targets)


def test_the_expert_is_shown_rgb(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expert, fakes = Watched(), []
    forward = FaceGenerator.forward
    monkeypatch.setattr(FaceGenerator, "forward", lambda self, e: fakes.append(forward(self, e)) or fakes[-1])
    train(tmp_path, config(steps=1), expert)
    pairs = small_pairs(8)
    real = pairs.pictures[np.isin(pairs.picture_person, pairs.split("train"))].transpose(0, 3, 1, 2) / 127.5 - 1
    assert expert.asked[0].numpy() == pytest.approx(real, abs=1e-6)
    assert torch.equal(expert.asked[1], fakes[0][:4].detach().clamp(-1, 1))


def test_pseudo_truth_is_on_the_coefficients(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets, loss = [], joint_trainer.coefficient_loss
    monkeypatch.setattr(joint_trainer, "coefficient_loss", lambda a, t: targets.append((a.detach(), t)) or loss(a, t))
    expert = Watched()
    train(tmp_path, config("wu2022", steps=1), expert)
    (alpha, target), _ = targets[-2:]
    told = expert.told[-1].coefficients
    (point,) = curve(tmp_path)
    assert torch.allclose(target, told, atol=1e-6)
    assert point["pseudo_truth"] == pytest.approx(np.square((alpha - told).numpy()).sum(1).mean(), rel=1e-4)


# -- and the rest --------------------------------------------------------------------------------------------------------


def test_opinions_are_means_over_a_persons_pictures() -> None:
    pairs, expert = small_pairs(8), Watched().eval()
    found = mean_expert_coefficients(pairs, Frozen(expert), np.array([1, 3]), torch.device("cpu"), batch=3)
    assert found.shape == (8, 2)
    assert np.isnan(found[[0, 2, 4, 5, 6, 7]]).all()
    own = torch.from_numpy(pairs.pictures[pairs.pictures_of[3]].astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1
    assert found[3] == pytest.approx(expert(own).coefficients.mean(0).detach().numpy(), abs=1e-5)


def test_no_3d_truth_is_used(small: None, tmp_path: Path) -> None:
    pairs = small_pairs(8)
    trained = []
    for k, shift in enumerate((0.0, 100.0)):
        other = dataclasses.replace(pairs, coefficients=pairs.coefficients + shift, expected=pairs.expected + shift)
        settings = config("modern", steps=3, validate_every=1)
        trained.append(train_joint(other, encoder(), Watched(), settings, tmp_path / str(k)))
    for one, two in zip(*(n.student.parameters() for n in trained), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("preset", ["wu2022", "modern"])
def test_going_on_is_the_same_as_never_having_stopped(preset: str, small: None, tmp_path: Path) -> None:
    settings = config(preset, steps=4)
    expert = Watched()
    whole = train(tmp_path / "whole", settings, expert)
    train(tmp_path / "parts", dataclasses.replace(settings, steps=2), expert)
    parts = train(tmp_path / "parts", settings, expert, resume=True)
    assert curve(tmp_path / "parts")[2:] == curve(tmp_path / "whole")[2:]
    for one, two in zip(whole, parts, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize("trunk", ["mobilenet_v2", "plain"])
def test_with_our_own_expert_from_a_trained_generator_and_on_disk(trunk: Trunk, tmp_path: Path) -> None:
    expert = ImageToFace(2, 32, trunk=trunk)
    with torch.no_grad():
        expert.shape[1].bias.copy_(torch.tensor([1.5, -0.5]))
    channels = (16, 12, 8, 8, 8)
    generator = FaceGenerator(channels=channels)
    settings = config("modern", student="expert", start="generator", steps=0, channels=channels)
    start = train_joint(small_pairs(8), encoder(), expert, settings, tmp_path / "start", generator=generator)
    assert all(torch.equal(a, b) for a, b in zip(start.generator.parameters(), generator.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(start.student.parameters(), expert.parameters(), strict=True))
    assert (start.student.size, start.student.trunk) == (32, trunk)

    settings = dataclasses.replace(settings, steps=1)
    trained = train_joint(small_pairs(8), encoder(), expert, settings, tmp_path / "run", generator=generator)
    assert not torch.equal(trained.generator.model[0].weight, generator.model[0].weight)
    embedding = F.normalize(torch.randn(2, 64), dim=1)
    mesh, face, student = (load_network(tmp_path / "run", name) for name in ("mesh", "face", "student"))
    expected = trained.student(trained.generator(embedding)).coefficients
    assert torch.equal(mesh(embedding), expected)
    assert torch.equal(student(face(embedding)).coefficients, expected)
    critic, classifier = (load_network(tmp_path / "run", name) for name in ("critic", "classifier"))
    names = identities_of(tmp_path / "run")
    assert classifier(critic(face(embedding))).shape == (2, len(names))
    assert names == tuple(person.name for person in small_pairs(8).people if person.split == "train")


def test_what_does_not_fit_is_said(small: None, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'generator', and a trained generator is not given"):
        train(tmp_path / "a", config(start="generator"))
    with pytest.raises(UsageError, match="'scratch', and a trained generator is given"):
        train(tmp_path / "b", config(), generator=FaceGenerator())
    with pytest.raises(InputError, match="widths"):
        train(tmp_path / "c", config(start="generator"), generator=FaceGenerator(channels=(8, 8, 8, 8, 8)))
    with pytest.raises(InputError, match="gives 3 coefficients, morphable model sphere has 2"):
        train(tmp_path / "d", config(), Watched(3))
    with pytest.raises(InputError, match="only start as our own expert"):
        train(tmp_path / "e", config(student="expert"), ImageToFace(2, 32))
    with pytest.raises(UsageError, match="average"):
        JointConfig(average=1.0)
    faceless = dataclasses.replace(small_pairs(8), picture_person=np.full(16, 7, np.int32))
    with pytest.raises(InputError, match="two speakers"):
        train_joint(faceless, encoder(), Watched(), config(), tmp_path / "f")


def test_published_weights() -> None:
    assert PAPER == JointWeights(1, 1, 1, 1, 1, 0)
    assert PRESETS["published"].weights == JointWeights(1, 1, 0.5, 10_000, 1.5, 0)
    assert PRESETS["wu2022"].batch == 64
    assert PRESETS["wu2022"].steps == 50_000
