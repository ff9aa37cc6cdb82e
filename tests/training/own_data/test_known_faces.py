"""Faces that a published expert reads, and faces that others have fitted: their units, references, and what is rejected."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.own_people import voxceleb  # noqa: E402
from tests.stand_ins.small_bfm import small_bfm  # noqa: E402
from tests.stand_ins.small_head import small_head  # noqa: E402
from voxface.runtime.errors import InputError, UsageError  # noqa: E402
from voxface.training.data.fits import NO_PICTURE  # noqa: E402
from voxface.training.data.images import as_images  # noqa: E402
from voxface.training.data.pairs import Pairs  # noqa: E402
from voxface.training.data.speech_corpus import LeftOut  # noqa: E402
from voxface.training.faces.picture_landmarks import read_picture  # noqa: E402
from voxface.training.faces.prior import Prior  # noqa: E402
from voxface.training.models.experts.published import Whitening, load_tddfa  # noqa: E402
from voxface.training.own_data.config import OwnDataConfig  # noqa: E402
from voxface.training.own_data.expert_fits import ExpertChoice, crop  # noqa: E402
from voxface.training.own_data.listing import list_people  # noqa: E402
from voxface.training.own_data.photographs import DetectorChoice  # noqa: E402
from voxface.training.own_data.preparation import prepare_people  # noqa: E402
from voxface.training.own_data.splits import splits  # noqa: E402
from voxface.training.own_data.voxceleb_3d import known_faces, read_parameters  # noqa: E402

pytestmark = pytest.mark.train
BFM = small_bfm()
DEVIATIONS = np.concatenate([np.full(12, 1.0), np.full(40, 2e5), np.full(10, 0.5)])


def prepared(
    folder: Path, out: str, config: OwnDataConfig, fits: Path | None = None
) -> tuple[Pairs, tuple[LeftOut, ...]]:
    found = list_people(folder / "wav", folder / "VGGFace", folder / "vox1_meta.csv", fits)
    return prepare_people(
        found,
        splits(found.people, "hash"),
        config,
        BFM,
        Prior.unit(50),
        folder / out,
        folder / f"{out}.work",
        name="own",
    )


def whitening_of(folder: Path) -> Path:
    file = folder / "whitening.npz"
    np.savez(file, mean=np.full(62, 7.0), std=DEVIATIONS)
    return file


def parameters(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """228 parameters in standard deviations, and in the unit of the modes."""
    unit = np.random.default_rng(seed).normal(size=228)
    own = unit.copy()
    own[:40] *= DEVIATIONS[12:52]
    own[199:209] *= DEVIATIONS[52:]
    return unit, own


# -- Voxceleb-3D -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(228,), (228, 1), (1, 228), (199,)])
def test_parameters_in_both_units(tmp_path: Path, shape: tuple[int, ...]) -> None:
    unit, own = parameters(0)
    count = max(shape)
    wanted = np.concatenate([unit[:40], unit[199:209] if count == 228 else np.zeros(10)]).astype(np.float32)
    np.save(tmp_path / "unit.npy", unit[:count].reshape(shape))
    np.save(tmp_path / "own.npy", own[:count].reshape(shape))
    white = whitening_of(tmp_path)
    np.testing.assert_allclose(read_parameters(tmp_path / "unit.npy", None), wanted, rtol=1e-6)
    np.testing.assert_allclose(read_parameters(tmp_path / "own.npy", white), wanted, rtol=1e-6)
    with pytest.raises(InputError, match=r"own\.npy: a parameter of .* give 3DDFA's whitening"):
        read_parameters(tmp_path / "own.npy", None)
    with pytest.raises(InputError, match=r"unit\.npy: parameters of .* leave out --whitening"):
        read_parameters(tmp_path / "unit.npy", white)


def test_what_is_no_parameter_is_rejected_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "few.npy", np.zeros(50))
    np.save(tmp_path / "nan.npy", np.full(228, np.nan))
    np.save(tmp_path / "words.npy", np.array(["a"] * 228))
    np.save(tmp_path / "objects.npy", np.array([{}] * 228, object))
    (tmp_path / "short.xyz").write_text("1 2 3\n4 5 6\n")
    (tmp_path / "odd.xyz").write_text("1 2 3\n4 5\n")
    (tmp_path / "letters.xyz").write_text("a b c\n")
    rows = np.random.default_rng(0).normal(0, 60, BFM.mean.shape)
    np.savetxt(tmp_path / "noise.xyz", rows)
    np.savetxt(tmp_path / "flat.xyz", rows * [1, 1, 0])
    faces, rejected = known_faces(tuple(sorted(tmp_path.iterdir())), None, BFM)
    assert not faces.reference
    assert np.isnan(faces.coefficients).all()
    reasons = {Path(left.file).name: left.reason for left in rejected}
    assert set(reasons) == {file.name for file in tmp_path.iterdir()}
    assert "199 parameters of shape are needed" in reasons["few.npy"]
    assert f"2 vertices, and {BFM.name} has {len(BFM.mean)}" in reasons["short.xyz"]
    assert "vertices of no face" in reasons["noise.xyz"]


def test_voxceleb_3d_as_targets(tmp_path: Path) -> None:
    """Several faces of who is learnt from, one of who is measured on; parameters before vertices; overlays are no pictures."""
    _, photos, _ = voxceleb(tmp_path)
    fits = tmp_path / "F2Z"
    units = {}
    for name, count in (("Ada_L", 1), ("Zoe_Z", 4)):
        (fits / name).mkdir(parents=True)
        for k in range(count):
            units[name, k] = parameters(10 * count + k)[0]
            np.save(fits / name / f"{k}.npy", units[name, k])
            np.savetxt(fits / name / f"{k}.xyz", np.zeros((5, 3)))  # is not read
            (fits / name / f"{k}.obj").write_text("v 1 2 3\n")
    (fits / "Carl_G").mkdir()
    true = np.random.default_rng(5).normal(size=(1, 50)).astype(np.float32)
    np.savetxt(fits / "Carl_G" / "a.xyz", 3e-4 * BFM.vertices(true)[0] + 60)
    (fits / "Stranger").mkdir()
    np.save(photos / "Ada_L" / "00000000.npy", units["Ada_L", 0])  # so 00000000_b.png is an overlay
    (photos / "Ada_L" / "00000000_b.png").write_bytes((photos / "Zoe_Z" / "00000001.png").read_bytes())
    pairs, rejected = prepared(tmp_path, "pairs", OwnDataConfig(DetectorChoice("aligned")), fits)
    assert {left.file: left.reason for left in rejected} == {
        "Nobody": "photographs of nobody who is heard",
        "Stranger": "faces of nobody who is heard",
    }
    assert len(pairs.pictures) == 6
    found = pairs.fits
    assert found is not None
    assert found.person.tolist() == [0, 1, 2, 2, 2, 2]
    assert (found.picture == NO_PICTURE).all()
    assert np.isnan(found.variance).all()
    for row, (name, k) in zip((0, 2, 3, 4, 5), sorted(units), strict=True):
        unit = units[name, k]
        np.testing.assert_allclose(found.coefficients[row], np.concatenate([unit[:40], unit[199:209]]), rtol=1e-6)
    np.testing.assert_array_equal(pairs.coefficients[:, 40:], 0)
    np.testing.assert_array_equal(pairs.coefficients[0, :40], found.coefficients[0, :40])
    shapes = np.array([units["Zoe_Z", k][:40] for k in range(4)])
    nearest = int(np.argmin([np.linalg.norm(shapes - own, axis=1).sum() for own in shapes]))
    np.testing.assert_allclose(pairs.coefficients[2, :40], shapes[nearest], rtol=1e-6)
    assert pairs.about["references"] == {"Ada_L": "0.npy", "Carl_G": "a.xyz", "Zoe_Z": f"{nearest}.npy"}
    # The face behind the vertices, but for its size, which no picture tells.
    off = (
        BFM.vertices(found.coefficients[1:2])[0]
        / np.linalg.norm(BFM.vertices(found.coefficients[1:2])[0], axis=1).mean()
    )
    same = BFM.vertices(true)[0] / np.linalg.norm(BFM.vertices(true)[0], axis=1).mean()
    assert np.abs(off - same).max() < 0.02


def test_faces_of_another_model_are_refused(tmp_path: Path) -> None:
    voxceleb(tmp_path)
    (tmp_path / "fits" / "Ada_L").mkdir(parents=True)
    with pytest.raises(InputError, match=r"fits: no face of anybody here \(\.npy, \.xyz"):
        list_people(tmp_path / "wav", None, tmp_path / "vox1_meta.csv", tmp_path / "fits")
    np.save(tmp_path / "fits" / "Ada_L" / "0.npy", parameters(0)[0])
    found = list_people(tmp_path / "wav", None, tmp_path / "vox1_meta.csv", tmp_path / "fits")
    assert [len(person.fits) for person in found.people if person.name == "Ada_L"] == [1]
    head = small_head()
    with pytest.raises(UsageError, match="of BFM-2009 as 3DDFA-V2 pickles it, and the model is small-head"):
        prepare_people(
            found, splits(found.people, "hash"), OwnDataConfig(), head, Prior.unit(head.modes), tmp_path / "pairs",
            tmp_path / "work", name="own",
        )  # fmt: skip


# -- experts ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def real(shared: Path) -> Path:
    return shared / "real"


@pytest.fixture
def expert(real: Path) -> ExpertChoice:
    return ExpertChoice(real / "tddfa_v2" / "mb05_120x120.pth", real / "tddfa_v2" / "param_mean_std_62d_120x120.pkl")


def test_the_published_expert_reads_real_photographs(tmp_path: Path, real: Path, expert: ExpertChoice) -> None:
    """A face of each picture, which is what the network says of the crop that its authors cut; one of them is the reference."""
    _, photos, _ = voxceleb(tmp_path)
    for folder in photos.iterdir():
        for file in folder.iterdir():
            file.unlink()
    for number, file in enumerate(sorted((real / "photos").glob("*.png"))):
        name = ("Ada_L", "Zoe_Z")[number % 2]
        (photos / name / file.name).write_bytes(file.read_bytes())
    detector = DetectorChoice(
        f"onnx:{real / 'faceapi' / 'faceapi68.onnx'}", real / "ultra_light_face" / "version-RFB-320.onnx"
    )
    config = OwnDataConfig(detector, expert=expert)
    pairs, _ = prepared(tmp_path, "pairs", config)
    fits = pairs.fits
    assert fits is not None
    assert len(fits) == len(pairs.pictures) >= 5
    np.testing.assert_array_equal(fits.picture, np.arange(len(fits)))
    np.testing.assert_array_equal(fits.person, pairs.picture_person)
    assert np.isnan(fits.variance).all()
    assert "licences of their own" in pairs.about["about"]
    network = load_tddfa(expert.checkpoint, Whitening.load(real / "tddfa_v2" / "whitening.npz"))
    for i, person in enumerate(pairs.people):
        own = fits.coefficients[fits.person == i]
        if not len(own):
            assert person.name == "Carl_G"
            assert np.isnan(pairs.coefficients[i]).all()
            continue
        at = int(np.flatnonzero((own[:, :40] == pairs.coefficients[i, :40]).all(1))[0])
        np.testing.assert_array_equal(pairs.coefficients[i, 40:], 0)
        picture = read_picture(photos / person.name / pairs.about["references"][person.name])
        landmarks = detector.find(photos, picture)
        assert landmarks is not None
        with torch.no_grad():
            said = network(as_images(torch.from_numpy(crop(picture, landmarks)[None].copy()))).coefficients.numpy()[0]
        np.testing.assert_allclose(own[at], said, atol=1e-4)
        assert 0.2 < np.sqrt(np.square(own[:, :40]).mean()) < 2
    again, _ = prepared(tmp_path, "again", config)
    assert again.digest == pairs.digest


def test_an_expert_that_cannot_be_used(tmp_path: Path, real: Path, expert: ExpertChoice) -> None:
    head = small_head()
    with pytest.raises(UsageError, match=r"mb05_120x120\.pth: gives 40 \+ 10 coefficients of BFM-2009"):
        expert.check(head)
    with pytest.raises(InputError, match="give its mean and std with --whitening"):
        ExpertChoice(expert.checkpoint).check(BFM)
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(InputError, match=r"text\.pth"):
        ExpertChoice(tmp_path / "text.pth", expert.whitening).check(BFM)
    expert.check(BFM)


def test_the_crop_is_the_published_one() -> None:
    """√2 times the longer side of the landmarks' box about its middle, black beyond the picture."""
    landmarks = np.full((68, 2), [200.0, 100.0], np.float32)
    landmarks[0], landmarks[1] = (160, 80), (240, 120)  # 80 wide, so 113 px from 143 to 257 and 43 to 157
    picture = np.zeros((150, 400, 3), np.uint8)
    picture[43:, 143:257] = (200, 100, 50)
    seen = crop(picture, landmarks)
    assert seen.shape == (120, 120, 3)
    assert (np.abs(seen[2:110, 2:118].astype(int) - [200, 100, 50]) <= 1).all()
    assert (seen[115:] == 0).all()
    picture[:, :142] = picture[:, 258:] = 255
    np.testing.assert_array_equal(crop(picture, landmarks), seen)  # nothing else is in it
