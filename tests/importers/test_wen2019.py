"""Published networks of Wen 2019 as a bundle: files with the published names and shapes, and files that are not."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("onnxscript", reason="onnxscript comes with voxface[train]")

from tests.command_line import run  # noqa: E402
from tests.conftest import SAMPLES  # noqa: E402
from tests.stand_ins.sphere import sphere  # noqa: E402
from voxface.importers.sex_head import HeardVoices, agreement_by_speaker, fit_sex_line, mean_face_of_the_sex  # noqa: E402
from voxface.importers.wen2019 import MEAN_FACE, read_encoder, read_generator  # noqa: E402
from voxface.runtime.bundle.bundle import Bundle  # noqa: E402
from voxface.runtime.errors import InputError  # noqa: E402

pytestmark = pytest.mark.train

State = dict[str, Any]


def published_encoder(widths: tuple[int, ...] = (64, 256, 384, 576, 864, 64)) -> State:
    """By the names and shapes of the published files, written out here, not by our module."""
    draw = torch.Generator().manual_seed(1)
    state: State = {}
    for k in range(5):
        shape = (widths[k + 1], widths[k], 3)
        state[f"model.{3 * k}.weight"] = torch.randn(shape, generator=draw) / (3 * widths[k]) ** 0.5
        if k < 4:
            state[f"model.{3 * k + 1}.weight"] = torch.rand(shape[0], generator=draw) + 0.5
            state[f"model.{3 * k + 1}.bias"] = torch.randn(shape[0], generator=draw)
            state[f"model.{3 * k + 1}.running_mean"] = torch.randn(shape[0], generator=draw)
            state[f"model.{3 * k + 1}.running_var"] = torch.rand(shape[0], generator=draw) + 0.5
            state[f"model.{3 * k + 1}.num_batches_tracked"] = torch.tensor(50_000)
    state["model.12.bias"] = torch.randn(widths[-1], generator=draw)
    return state


def published_generator(widths: tuple[int, ...] = (64, 1024, 512, 256, 128, 64, 3), kernel: int = 4) -> State:
    draw = torch.Generator().manual_seed(2)
    kernels = [4, *[kernel] * (len(widths) - 3), 1]
    state: State = {}
    for k, size in enumerate(kernels):
        shape = (widths[k], widths[k + 1], size, size)
        state[f"model.{2 * k}.weight"] = torch.randn(shape, generator=draw) / widths[k] ** 0.5
        state[f"model.{2 * k}.bias"] = torch.randn(widths[k + 1], generator=draw) / 10
    return state


SMALL_ENCODER = (64, 16, 16, 24, 32, 64)
SMALL_GENERATOR = (64, 32, 16, 16, 8, 8, 3)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Small networks of the published layout."""
    voice, generator = tmp_path / "voice_embedding.pth", tmp_path / "generator.pth"
    torch.save(published_encoder(SMALL_ENCODER), voice)
    torch.save(published_generator(SMALL_GENERATOR), generator)
    return voice, generator


def test_published_shapes_make_the_published_networks(tmp_path: Path) -> None:
    torch.save(published_encoder(), tmp_path / "voice.pth")
    torch.save(published_generator(), tmp_path / "generator.pth")
    encoder, wide = read_encoder(tmp_path / "voice.pth")
    generator, high = read_generator(tmp_path / "generator.pth")
    assert wide == {"mels": 64, "channels": (256, 384, 576, 864), "embedding": 64}
    assert high == {"embedding": 64, "channels": (1024, 512, 256, 128, 64), "kernel": "k4"}
    sizes = [sum(p.numel() for p in network.parameters()) / 1e6 for network in (encoder, generator)]
    assert sizes == pytest.approx([2.67, 12.19], abs=0.005)


def test_they_compute_what_the_layout_says(files: tuple[Path, Path]) -> None:
    """Against the layers applied one by one to the file's tensors."""
    F = torch.nn.functional
    state = published_encoder(SMALL_ENCODER)
    x = torch.randn(2, 64, 200)
    h = x
    for k in range(5):
        h = F.conv1d(h, state[f"model.{3 * k}.weight"], state.get(f"model.{3 * k}.bias"), stride=2, padding=1)
        if k < 4:
            n = f"model.{3 * k + 1}"
            norm = (h - state[f"{n}.running_mean"][:, None]) / (state[f"{n}.running_var"][:, None] + 1e-5).sqrt()
            h = F.relu(norm * state[f"{n}.weight"][:, None] + state[f"{n}.bias"][:, None])
    expected = F.normalize(h.mean(2), dim=1)
    encoder, _ = read_encoder(files[0])
    assert torch.allclose(encoder(x)[0], expected, atol=1e-5)
    state = published_generator(SMALL_GENERATOR)
    h = expected[:, :, None, None]
    for k in range(6):
        stride, padding = (2, 1) if 0 < k < 5 else (1, 0)
        h = F.conv_transpose2d(h, state[f"model.{2 * k}.weight"], state[f"model.{2 * k}.bias"], stride, padding)
        h = F.relu(h) if k < 5 else h
    generator, _ = read_generator(files[1])
    assert torch.allclose(generator(expected), h, atol=1e-4)
    assert h.shape == (2, 3, 64, 64)


def test_wrappings_of_the_state_dict(tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in published_encoder(SMALL_ENCODER).items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "a.pth")
    assert read_encoder(tmp_path / "a.pth")[1]["channels"] == SMALL_ENCODER[1:-1]
    old = {n: v for n, v in published_encoder(SMALL_ENCODER).items() if "num_batches" not in n}
    torch.save(old, tmp_path / "b.pth")
    assert read_encoder(tmp_path / "b.pth")
    torch.save(published_generator((64, 16, 8, 8, 8, 4, 3), kernel=3), tmp_path / "c.pth")
    assert read_generator(tmp_path / "c.pth")[1]["kernel"] == "k3"


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("the sequence alone", lambda s: {n.removeprefix("model."): v for n, v in s.items()}),
        ("a part of a module", lambda s: {f"net.voice.{n}": v for n, v in s.items()}),
        ("torch.compile of a part", lambda s: {n.replace("model.", "model._orig_mod."): v for n, v in s.items()}),
        ("DataParallel of the sequence", lambda s: {n.replace("model.", "module."): v for n, v in s.items()}),
        ("half precision", lambda s: {n: v.half() if v.is_floating_point() else v for n, v in s.items()}),
        ("bfloat16", lambda s: {n: v.bfloat16() if v.is_floating_point() else v for n, v in s.items()}),
        ("double precision", lambda s: {n: v.double() if v.is_floating_point() else v for n, v in s.items()}),
        ("with its critic", lambda s: {"epoch": 1, "g": published_generator(SMALL_GENERATOR), "e": s}),
    ],
)
def test_more_ways_of_saving(tmp_path: Path, what: str, change: Callable[[State], State]) -> None:
    state = published_encoder(SMALL_ENCODER)
    torch.save(change(state), tmp_path / "a.pth")
    encoder, architecture = read_encoder(tmp_path / "a.pth")
    assert architecture["channels"] == SMALL_ENCODER[1:-1], what
    loaded = encoder.state_dict()
    for name, value in state.items():
        torch.testing.assert_close(loaded[name], value, rtol=1e-2, atol=1e-2)


class Bomb:
    """What a pickle must not do here."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return (Path.write_text, (Path("bomb-went-off"), "boom"))


def damaged(state: State, **changes: Any) -> State:
    kept = {name: value for name, value in state.items() if changes.get(name, 0) is not None}
    return kept | {name: value for name, value in changes.items() if value is not None}


def with_nan(state: State) -> State:
    state["model.4.weight"] = state["model.4.weight"].clone()
    state["model.4.weight"].view(-1)[3] = float("nan")
    return state


@pytest.mark.parametrize(
    ("which", "content", "reason"),
    [
        ("voice", b"", "no checkpoint of PyTorch"),
        ("voice", b"PK\x03\x04 not really", "a damaged checkpoint of PyTorch, or none"),
        ("voice", b"garbage" * 100, "no checkpoint of PyTorch"),
        ("voice", pickle.dumps(Bomb()), "asks to run pathlib.Path.write_text"),
        ("voice", [1, 2], "holds no weights by name"),
        ("voice", {"epoch": 3}, "holds no weights by name"),
        ("voice", published_generator(SMALL_GENERATOR), "are the two files swapped"),
        ("generator", published_encoder(SMALL_ENCODER), "are the two files swapped"),
        ("voice", {"fc.weight": torch.zeros(3, 3)}, "model.0.weight is missing"),
        ("voice", with_nan(published_encoder(SMALL_ENCODER)), "model.4.weight holds NaN"),
        (
            "voice",
            damaged(published_encoder(SMALL_ENCODER), **{"model.4.running_var": None}),
            "model.4.running_var missing",
        ),
        ("voice", damaged(published_encoder(SMALL_ENCODER), **{"model.12.bias": None}), "model.12.bias missing"),
        ("voice", damaged(published_encoder(SMALL_ENCODER), **{"model.12.extra": torch.zeros(1)}), "more than a"),
        (
            "voice",
            damaged(published_encoder(SMALL_ENCODER), **{"model.6.weight": torch.zeros(24, 17, 3)}),
            "model.6.weight takes 17 channels, the layer before gives 16",
        ),
        ("voice", published_encoder((40, 16, 16, 24, 32, 64)), "takes 40 mel bins"),
        (
            "voice",
            damaged(published_encoder(SMALL_ENCODER), **{"model.1.running_var": -torch.ones(16)}),
            "variance of its batch normalisation is negative",
        ),
        (
            "generator",
            damaged(published_generator(SMALL_GENERATOR), **{"model.4.weight": torch.zeros(16, 16, 5, 5)}),
            "kernels are 4×4, 4×4, 5×5",
        ),
        ("generator", published_generator((64, 16, 8, 8, 8, 4, 4)), "pictures of 4 channels"),
        ("generator", published_generator((64, *[4] * 12, 3)), "makes pictures of 8192×8192, more than 1024"),
        ("voice", {"model.0.weight": torch.zeros(())}, "model.0.weight is [], no weight of a convolution"),
        (
            "voice",
            {n: v * 1e30 for n, v in published_encoder(SMALL_ENCODER).items()},
            "NaN or infinity for an ordinary input",
        ),
        ("voice", published_encoder((64, 0, 16, 24, 32, 64)), "without a number in it"),
        ("voice", {n: v.to(torch.int8) for n, v in published_encoder(SMALL_ENCODER).items()}, "holds int8, not real"),
        ("voice", {n: v.double() * 1e300 for n, v in published_encoder(SMALL_ENCODER).items()}, "too large for FP32"),
        ("generator", published_generator((32, 16, 8, 8, 8, 4, 3)), "not trained together"),
    ],
)
def test_files_that_cannot_be_used(
    files: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    which: str,
    content: Any,
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = files[which == "generator"]
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    assert run("bundle", "import", "--wen2019", *files, "--out", tmp_path / "b.voxface") == 3
    printed = capsys.readouterr().err
    assert reason in printed
    assert len(printed.splitlines()) == 1
    assert not (tmp_path / "b.voxface").exists()
    assert not (tmp_path / "bomb-went-off").exists()


def test_options_that_do_not_go_together(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "b.voxface"
    for words in (["--modes", 3, 1], ["--format", "ict"], ["--landmarks", "x.txt"]):
        assert run("bundle", "import", "--wen2019", *files, "--out", out, *words) == 2
        assert f"{words[0]}: does not go with --wen2019" in capsys.readouterr().err
    assert run("bundle", "import", "--face-model", "x.npz", "--speech", tmp_path, "--out", out) == 2
    assert run("bundle", "import", "--wen2019", files[0], tmp_path / "none.pth", "--out", out) == 3
    assert "none.pth: no such file" in capsys.readouterr().err
    assert run("bundle", "import", "--wen2019", *files, "--speech", tmp_path, "--out", out) == 3
    assert "no speakers.csv" in capsys.readouterr().err


@pytest.mark.slow
def test_a_bundle_without_a_mesh_network(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "wen.voxface"
    assert run("bundle", "import", "--wen2019", *files, "--out", out, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["imported"]["mesh"] == MEAN_FACE
    assert document["front_end"]["name"] == "wen2019"
    assert document["files"]["model_card.md"]["size"] > 500
    assert run("bundle", "info", out) == 0
    assert MEAN_FACE in capsys.readouterr().out
    assert run("bundle", "info", out, "--card") == 0
    assert "are the same for every voice" in capsys.readouterr().out
    assert run("bundle", "verify", out) == 0
    capsys.readouterr()
    assert run("run", *SAMPLES, "--bundle", out, "--out", tmp_path / "o", "--json") == 0
    clips = json.loads(capsys.readouterr().out)["clips"]
    parts = {"speech_modulation", "speaker_change", "face_posterior", "age"}
    assert set(Bundle.open(out).missing_parts) == parts, "they go with another encoder"
    default = Bundle.open()
    middle = default.morphable.sex_means.mean(0)
    for clip in clips:
        assert set(clip) >= {
            "file", "duration_s", "voiced_s", "segments", "frames", "face", "mesh", "embedding", "coefficients",
            "measurements_mm", "attributes", "confidence", "timings_ms",
        }  # fmt: skip
        np.testing.assert_allclose(clip["coefficients"], middle, atol=1e-6)
        assert clip["attributes"]["sex"]["female"] == pytest.approx(0.5, abs=1e-3), "it does not claim to know"
        assert len(clip["embedding"]) == 64
    assert clips[0]["embedding"] != clips[1]["embedding"]


@pytest.mark.slow
def test_a_mesh_learnt_from_speech(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two women and two men, who are one woman and one man at two speeds; the encoder is a random one."""
    speech = tmp_path / "speech"
    speech.mkdir()
    rows = ["speaker_id,sex,file", "w9,F,missing.flac"]
    for sample, sex in zip(SAMPLES, "FM", strict=True):
        sound, rate = soundfile.read(sample, dtype="int16")
        for k in range(2):
            name = f"{sex}{k}.wav"
            soundfile.write(speech / name, sound[k * rate :: 1][: 5 * rate], rate + 500 * k)
            rows.append(f"{sex}{k},{sex},{name}")
    (speech / "speakers.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path / "wen"
    assert run("bundle", "import", "--wen2019", *files, "--speech", speech, "--out", out, "--json") == 0
    printed = capsys.readouterr()
    assert "missing.flac" in printed.err
    document = json.loads(printed.out)
    assert "embeddings of 4 speakers" in document["imported"]["mesh"]
    assert 0 <= document["metrics"]["sex_agreement_cross_validated"] <= 1
    assert run("run", *SAMPLES, "--bundle", out, "--out", tmp_path / "o", "--json") == 0
    clips = json.loads(capsys.readouterr().out)["clips"]
    women = [clip["attributes"]["sex"]["female"] for clip in clips]
    assert women[0] > 0.5 > women[1], "the voices it has learnt from"


def heard(people: int = 40, apart: float = 0.5, seed: int = 0) -> HeardVoices:
    """Three recordings each of women and men whose embeddings differ in the first of five numbers; the first woman
    has thirty."""
    rng = np.random.default_rng(seed)
    rows, sexes, speakers = [], [], []
    for i in range(people):
        own = rng.normal(size=5) * 0.2
        for _ in range(30 if i == 0 else 3):
            rows.append(own + rng.normal(size=5) * 0.05 + np.eye(5)[0] * apart * (2 * (i % 2) - 1))
            sexes.append(2.0 * (i % 2) - 1)
            speakers.append(f"p{i}")
    return HeardVoices(np.array(rows), np.array(sexes), tuple(speakers), 0)


def test_the_line_is_the_ridge_regression_of_the_textbook() -> None:
    voices = heard()
    line = fit_sex_line(voices)
    share = np.array([1 / voices.speakers.count(name) for name in voices.speakers])
    share /= share.sum()
    x = voices.embeddings - share @ voices.embeddings
    strength = line.penalty * np.einsum("n,ne,ne->", share, x, x) / 5
    # The same as least squares with five more rows, one a number of the embedding, that ask for zero.
    rows = np.vstack([x * np.sqrt(share)[:, None], np.sqrt(strength) * np.eye(5)])
    wanted = np.concatenate([(voices.sexes - share @ voices.sexes) * np.sqrt(share), np.zeros(5)])
    np.testing.assert_allclose(line.weight, np.linalg.lstsq(rows, wanted, rcond=None)[0], atol=1e-9)
    assert line.agreement > 0.95
    assert line.speakers == 40
    # What it says of itself holds for people it has not heard.
    others = heard(seed=1)
    assert agreement_by_speaker(line(others.embeddings), others) > 0.95


def test_cross_validation_does_not_flatter() -> None:
    """Embeddings that know nothing of sex, with more numbers than people: learnt by heart, but no better than chance."""
    rng = np.random.default_rng(3)
    people = 40
    voices = HeardVoices(
        rng.normal(size=(people, 64)), np.resize([-1.0, 1.0], people), tuple(map(str, range(people))), 0
    )
    assert fit_sex_line(voices).agreement < 0.75


def test_the_line_as_a_mesh_network() -> None:
    """At -1 the mean woman, at 1 the mean man."""
    model = sphere()
    line = fit_sex_line(heard())
    network, architecture = mean_face_of_the_sex(model, line)
    assert architecture["hidden"] == 0
    for sex, face in zip((-1, 1), model.sex_means, strict=True):
        embedding = line.weight * (sex - line.offset) / (line.weight @ line.weight)
        found = network(torch.from_numpy(embedding).float()[None])[0].detach().numpy()
        np.testing.assert_allclose(found, face, atol=1e-5)


def test_too_few_speakers() -> None:
    voices = heard(people=3)
    with pytest.raises(InputError, match="2 women and 1 men"):
        fit_sex_line(voices)
