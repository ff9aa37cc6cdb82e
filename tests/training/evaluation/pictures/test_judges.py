"""Judges that suites share: what is kept, and what comes back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.patterned_pairs import patterned_pairs, shown  # noqa: E402
from tests.training.seeds import varied  # noqa: E402
from voxface.runtime.errors import InputError  # noqa: E402
from voxface.training.evaluation.pictures.face_readers import embed_pictures, name_people  # noqa: E402
from voxface.training.evaluation.pictures.judges import check_unknown, load_judge, picture_judge, save_judge  # noqa: E402
from voxface.training.evaluation.pictures.picture_judge import JudgeConfig, PictureJudge  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]

TINY = JudgeConfig(channels=(4, 4, 4, 8, 8), embedding=6, steps=4, batch=8, seed=varied())


@pytest.mark.parametrize("each", [4, 1])
def test_a_judge_comes_back_bit_for_bit(each: int, tmp_path: Path) -> None:
    pairs = patterned_pairs(8)
    kept = np.arange(len(pairs.pictures)) % 4 < each  # with one picture a person, none is put aside
    pairs = replace(pairs, pictures=pairs.pictures[np.flatnonzero(kept)], picture_person=pairs.picture_person[kept])
    judge = PictureJudge.train(pairs, TINY)
    save_judge(tmp_path / "judge.safetensors", judge, TINY)
    again = load_judge(tmp_path / "judge.safetensors")
    assert np.array_equal(embed_pictures(again, pairs.pictures), embed_pictures(judge, pairs.pictures))
    assert np.array_equal(name_people(again, pairs.pictures), name_people(judge, pairs.pictures))
    assert (again.people.tolist(), again.aside.tolist()) == (judge.people.tolist(), judge.aside.tolist())
    assert again.people.dtype == judge.people.dtype
    assert again.report == judge.report


def test_suites_share_one_judge_of_the_same_data_and_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []
    original = PictureJudge.train

    def counted(*given: object, **more: object) -> PictureJudge:
        trained.append(1)
        return original(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(PictureJudge, "train", counted)
    pairs = patterned_pairs(8)
    inputs = shown(tmp_path, pairs, "speaker")
    one, same = picture_judge(inputs, TINY), picture_judge(inputs, TINY)
    assert len(trained) == 1
    assert np.array_equal(embed_pictures(one, pairs.pictures), embed_pictures(same, pairs.pictures))
    picture_judge(inputs, replace(TINY, seed=TINY.seed + 1))
    picture_judge(replace(inputs, given_pairs=patterned_pairs(8, noise=9.0, frames=121)), TINY)
    assert len(trained) == 3
    assert len(list((tmp_path / "judges").iterdir())) == 3
    unsaved = replace(inputs, given_pairs=replace(pairs, digest=""))
    picture_judge(unsaved, TINY)
    assert len(list((tmp_path / "judges").iterdir())) == 3, "data that nobody can name again are not kept"


def test_pictures_of_another_size_are_brought_to_the_judges(tmp_path: Path) -> None:
    judge = PictureJudge.train(patterned_pairs(8, size=128), TINY)
    pictures = patterned_pairs(8, size=128).pictures
    halved = np.asarray(pictures).reshape(-1, 64, 2, 64, 2, 3).mean((2, 4), dtype=np.float32)
    images = torch.from_numpy(halved).permute(0, 3, 1, 2).sub(127.5).div(127.5)
    with torch.no_grad():
        expected = judge.embedding(images).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(embed_pictures(judge, pictures), expected, atol=2e-4)


@pytest.mark.parametrize("how", ["cut", "flipped", "other"])
def test_a_damaged_judge_is_named(tmp_path: Path, how: str) -> None:
    pairs = patterned_pairs(8)
    inputs = shown(tmp_path, pairs, "speaker")
    picture_judge(inputs, TINY)
    (file,) = (tmp_path / "judges").iterdir()
    data = file.read_bytes()
    changed = {"cut": data[:-10], "flipped": data[:-5] + bytes([data[-5] ^ 1]) + data[-4:], "other": b"nothing"}[how]
    file.write_bytes(changed)
    with pytest.raises(InputError, match=file.name):
        picture_judge(inputs, TINY)


def test_a_judge_that_has_learnt_from_the_people_evaluated_is_refused(tmp_path: Path) -> None:
    pairs = patterned_pairs(8)
    judge = PictureJudge.train(pairs, TINY)
    inputs = shown(tmp_path, pairs, "speaker")
    check_unknown(judge, pairs.split("test"), inputs, "judge")
    with pytest.raises(InputError, match=r"p0 .*both learnt from and evaluated"):
        check_unknown(judge, pairs.split("train")[:1], inputs, "judge")
