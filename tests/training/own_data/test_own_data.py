"""Own recordings and photographs: who is found, what is rejected and why, and that a run goes on where it was killed."""

import csv
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.stand_ins.landmark_networks import write_graph
from tests.stand_ins.own_people import HEAD, landmark_graph, many_people, voxceleb
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.face.png import png
from voxface.runtime.features.log_mel import log_mel
from voxface.training.data.pairs import Pairs
from voxface.training.data.parallel_map import Processes
from voxface.training.data.speech_corpus import LeftOut, voiced_audio
from voxface.training.evaluation.leaks import check_leaks
from voxface.training.faces.camera import Pose
from voxface.training.faces.prior import Prior
from voxface.training.own_data import preparation
from voxface.training.own_data.config import OwnDataConfig
from voxface.training.own_data.listing import OwnPeople, OwnPerson, list_people
from voxface.training.own_data.photographs import DetectorChoice
from voxface.training.own_data.preparation import prepare_people
from voxface.training.own_data.splits import splits

pytestmark = pytest.mark.train


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A network that finds the same face, seen from the front, in every picture."""
    pose = Pose.from_angles(np.zeros((1, 3)), np.full(1, 0.3), np.array([[30.0, 30.0]]))
    return landmark_graph(tmp_path / "front.onnx", pose)


def prepare(
    found: OwnPeople, out: Path, detector: DetectorChoice | None, by: str, **more: object
) -> tuple[Pairs, tuple[LeftOut, ...]]:
    return prepare_people(
        found,
        splits(found.people, by),
        OwnDataConfig(detector),
        HEAD,
        Prior.unit(HEAD.modes),
        out / "pairs",
        out / "work",
        name="own",
        **more,  # type: ignore[arg-type]
    )


def prepared(found: OwnPeople, out: Path, graph: Path | None = None, **more: object) -> tuple[Pairs, list[str]]:
    detector = None if graph is None else DetectorChoice(f"onnx:{graph}", crops=True)
    pairs, rejected = prepare(found, out, detector, "letters", **more)
    return pairs, [f"{Path(left.file).name}: {left.reason}" for left in rejected]


def test_voxceleb_and_vggface(tmp_path: Path, graph: Path) -> None:
    found = list_people(*voxceleb(tmp_path))
    assert [person.name for person in found.people] == ["Ada_L", "Carl_G", "Zoe_Z"]
    assert [person.sex for person in found.people] == ["F", "M", "F"]
    assert [(left.file, left.reason) for left in found.left_out] == [("Nobody", "photographs of nobody who is heard")]
    pairs, rejected = prepared(found, tmp_path, graph)
    assert len(rejected) == 1
    assert pairs.kind == "own"
    assert [(person.name, person.split) for person in pairs.people] == [
        ("Ada_L", "validation"), ("Carl_G", "test"), ("Zoe_Z", "train"),
    ]  # fmt: skip
    assert pairs.utterance_person.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert pairs.utterance_recording.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]  # of one video: one recording
    assert pairs.picture_person.tolist() == [0, 0, 1, 1, 2, 2]
    assert pairs.pictures.shape == (6, 64, 64, 3)
    np.testing.assert_allclose(pairs.coefficients, 0, atol=0.05)  # the mean face is what was seen
    first = voiced_audio(tmp_path / "wav" / "id10000" / "abc" / "00000.wav")
    np.testing.assert_array_equal(pairs.utterance(0).astype(np.float16), log_mel(first).astype(np.float16))
    assert pairs.about["references"]["Zoe_Z"] == "00000000.png"
    with (tmp_path / "pairs" / "rejected.csv").open() as table:
        assert list(csv.reader(table))[1:] == [["Nobody", "3", "photographs of nobody who is heard"]]
    assert Pairs.load(tmp_path / "pairs").digest == pairs.digest
    # Each picture has a face of its own, with what the landmarks leave open of it.
    assert pairs.fits is not None
    assert pairs.fits.picture.tolist() == [0, 1, 2, 3, 4, 5]
    assert pairs.fits.person.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_allclose(pairs.fits.coefficients, 0, atol=0.05)
    assert ((pairs.fits.variance > 0) & (pairs.fits.variance <= 1.001)).all()
    assert pairs.fits.variance[0].min() < 0.5 < pairs.fits.variance[0].max()


def test_folders_without_a_table_have_the_same_names(tmp_path: Path) -> None:
    wav, photos, _ = voxceleb(tmp_path)
    for number, name in enumerate(("Ada_L", "Carl_G", "Zoe_Z")):
        (wav / f"id1000{number}").rename(wav / name)
    with pytest.raises(InputError, match="no sex is known; give a table"):
        list_people(wav, photos, None)
    table = tmp_path / "people.csv"
    table.write_text("person, sex, split\nAda_L, F, train\nCarl_G, man, train\nZoe_Z, female, test\n")
    found = list_people(wav, photos, table)
    assert [(person.name, len(person.photographs)) for person in found.people] == [("Ada_L", 2), ("Zoe_Z", 2)]
    assert found.left_out[0].reason == "people.csv: sex 'man' is not F or M"
    assert len(found.left_out) == 2
    assert splits(found.people, "table") == {"Ada_L": "train", "Zoe_Z": "test"}
    assert [len(person.photographs) for person in list_people(wav, None, table).people] == [0, 0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda wav, _p, _t: (wav / "x").mkdir(), None, "no sound file in the folder"),
        (lambda _w, _p, t: t.write_text("a,b\n1,2\n"), UsageError, "no column of it has names of folders"),
        (lambda _w, _p, t: t.write_bytes(b"\xff\xfe\x00"), InputError, "vox1_meta.csv"),
        (lambda _w, _p, t: t.unlink(), InputError, "no such file"),
        (lambda _w, _p, t: t.write_text(t.read_text().replace("Carl_G", "Ada_L")), InputError, "two speakers"),
        (lambda _w, _p, t: t.write_text(""), InputError, "a line for each person"),
        (lambda _w, _p, t: t.write_text("id10000\tF\nid10001\tM\n"), UsageError, "no column sex or gender"),
        (lambda _w, _p, t: t.write_text("id,sex\nid10000,F\nid10000,M\n"), InputError, "sex 'F' of id10000 in one"),
        (lambda _w, _p, t: t.write_text("id,sex,set\nid10000,F,dev\nid10000,F,test\n"), InputError, "split 'dev'"),
        (lambda wav, _p, _t: [shutil.rmtree(each) for each in wav.iterdir()], InputError, "no folder of a person"),
        (lambda wav, _p, _t: (shutil.rmtree(wav), wav.write_text("")), InputError, "wav: is no folder"),
    ],
)
def test_folders_and_tables_that_do_not_fit(
    tmp_path: Path, change: Callable[..., object], error: type[Exception] | None, message: str
) -> None:
    wav, photos, table = voxceleb(tmp_path)
    change(wav, photos, table)
    if error is None:
        assert message in [left.reason for left in list_people(wav, photos, table).left_out]
    else:
        with pytest.raises(error, match=message):
            list_people(wav, photos, table)
    with pytest.raises(InputError, match="no such folder"):
        list_people(tmp_path / "nowhere", None, None)


def test_a_table_as_office_programs_and_macos_write_it(tmp_path: Path) -> None:
    wav, _, table = voxceleb(tmp_path)
    (wav / "id10000").rename(wav / "Zoe\u0308 A")  # as macOS keeps it
    table.write_bytes("\ufeffPerson;Sex\r\nZo\u00eb A;F\r\nid10001;M\r\n".encode())
    found = list_people(wav, None, table)
    assert [(person.name, person.sex) for person in found.people] == [("Zo\u00eb A", "F"), ("id10001", "M")]
    (wav / "__MACOSX").mkdir()
    assert [left.file for left in list_people(wav, None, table).left_out] == ["id10002"]
    (wav / "Zo\u00eb A").mkdir()
    with pytest.raises(InputError, match="same name in other Unicode"):
        list_people(wav, None, table)


def test_photographs_that_are_never_read_are_told(tmp_path: Path, graph: Path) -> None:
    wav, photos, table = voxceleb(tmp_path)
    (photos / "Ada_L" / "telephone.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))
    for file in (photos / "Carl_G").iterdir():
        file.rename(file.with_suffix(".notes"))
    found = list_people(wav, photos, table)
    assert [left.file for left in found.left_out if left.reason.startswith("no picture in the folder (.png")] == [
        "Carl_G"
    ]
    _, rejected = prepared(found, tmp_path, graph)
    assert any(
        line.startswith("telephone.HEIC: cannot be read as a picture (it is a picture (HEIC)") for line in rejected
    )


def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wav, _, table = voxceleb(tmp_path)
    scan = os.scandir

    def guarded(place: Path) -> object:
        if Path(place).parts[-2:] == ("id10000", "abc"):
            raise PermissionError(13, "Permission denied", str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", guarded)  # whoever runs the tests may read everything
    found = list_people(wav, None, table)
    assert [person.name for person in found.people] == ["id10001", "id10002"]
    assert [(left.file, left.reason) for left in found.left_out] == [
        (str(wav / "id10000" / "abc"), "cannot be read (Permission denied)")
    ]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    wav, _, table = voxceleb(tmp_path)
    try:
        (wav / os.fsdecode(b"Zo\xeb")).mkdir()  # of a disk with names in Latin-1
        (wav / "id10000" / os.fsdecode(b"\xff.wav")).write_text("no sound")
    except OSError:
        pytest.skip("this file system has names in Unicode only")
    found = list_people(wav, None, table)
    assert "the name of the folder is no UTF-8; rename it" in [left.reason for left in found.left_out]
    prepared(found, tmp_path)
    with (tmp_path / "pairs" / "rejected.csv").open(encoding="utf-8") as lines:
        assert [Path(row[0]).name for row in list(csv.reader(lines))[1:]][:1] == ["\\udcff.wav"]


def person(name: str, said: str = "") -> OwnPerson:
    return OwnPerson(name, "F", said, (), ())


def test_rules_of_splits(tmp_path: Path) -> None:
    people = [person(name) for name in ("anna", "Bert", "Cid", "Eve", "Fox", "Zac")]
    assert list(splits(people, "letters").values()) == ["validation", "validation", "test", "test", "train", "train"]
    by_hash = splits([person(f"p{k}") for k in range(2000)], "hash")
    assert 0.09 < list(by_hash.values()).count("test") / 2000 < 0.15
    file = tmp_path / "splits.txt"
    file.write_text("A 1\n")
    with pytest.raises(InputError, match="does not name anna"):
        splits(people, str(file))
    file.write_text(
        "\n".join(f"{each.name},{word}" for each, word in zip(people, ["dev", "val", "test"] * 2, strict=True))
    )
    assert list(splits(people, str(file)).values()) == ["train", "validation", "test"] * 2
    file.write_text("a b c\n")
    with pytest.raises(InputError, match="line 1"):
        splits(people, str(file))
    file.write_text("Anna Maria train\nSmith, Zoe\u0308;test\nAnna Maria  train\n")
    named = [person("Anna Maria"), person("Smith, Zo\u00eb")]
    assert list(splits(named, str(file)).values()) == ["train", "test"]
    file.write_text("Anna Maria train\nAnna Maria test\n")
    with pytest.raises(InputError, match="line 2: Anna Maria is in train already"):
        splits(named, str(file))
    with pytest.raises(UsageError, match="one of hash, letters, table"):
        splits(people, "nonsense")
    with pytest.raises(InputError, match="the table: says 'x' of a"):
        splits([person("a", "x")], "table")


def test_the_published_split_of_voxceleb(shared: Path) -> None:
    file = shared / "protocols" / "Splits_identity_splits.txt"
    names = [line.split()[0] for line in file.read_text().splitlines() if line.strip()]
    found = list(splits([person(name) for name in names], str(file)).values())
    assert [found.count(which) for which in ("train", "validation", "test")] == [901, 100, 250]


def test_every_rejection_has_its_reason(tmp_path: Path, graph: Path) -> None:
    wav, photos, table = voxceleb(tmp_path)
    own = wav / "id10000" / "abc"
    soundfile.write(own / "silence.wav", np.zeros(16_000, np.int16), 16_000)
    (own / "text.wav").write_text("no sound")
    (own / "again.wav").write_bytes((own / "00000.wav").read_bytes())
    (photos / "Ada_L" / "text.jpg").write_text("no picture")
    (photos / "Ada_L" / "again.png").write_bytes((photos / "Ada_L" / "00000000.png").read_bytes())
    pairs, rejected = prepared(list_people(wav, photos, table), tmp_path, graph)
    assert len(pairs.utterance_person) == 12
    assert len(pairs.pictures) == 6
    said = dict(line.split(": ", 1) for line in rejected)
    assert "of speech in it" in said["silence.wav"]
    assert said["again.wav"].startswith("the same speech as in") or said["00000.wav"].startswith(
        "the same speech as in"
    )
    assert "same picture as" in said.get("again.png", "") + said.get("00000000.png", "")
    assert {"text.wav", "text.jpg"} <= set(said)


def test_what_two_people_have_stays_with_the_first(tmp_path: Path, graph: Path) -> None:
    wav, photos, table = voxceleb(tmp_path)
    (wav / "id10002" / "abc" / "of_ada.wav").write_bytes((wav / "id10000" / "xyz" / "00001.wav").read_bytes())
    (photos / "Zoe_Z" / "of_carl.png").write_bytes((photos / "Carl_G" / "00000000.png").read_bytes())
    found = list_people(wav, photos, table)
    pairs, rejected = prepared(found, tmp_path / "shared", graph)
    assert (
        "of_ada.wav: the same speech as in a recording of Ada_L, who keeps it; it can be of one person only" in rejected
    )
    assert (
        "of_carl.png: the same face as in a photograph of Carl_G, who keeps it; it can be of one person only"
        in rejected
    )
    check_leaks(pairs)
    (wav / "id10002" / "abc" / "of_ada.wav").unlink()
    (photos / "Zoe_Z" / "of_carl.png").unlink()
    prepared(list_people(wav, photos, table), tmp_path / "alone", graph)
    left, alone = (contents(tmp_path / name / "pairs") for name in ("shared", "alone"))
    # Nothing of the shared files is left, in the person's face neither; only what tells of them differs.
    assert left.keys() == alone.keys()
    assert {name for name in left if left[name] != alone[name]} == {"pairs.json", "rejected.csv"}


def test_who_has_nothing_of_their_own_is_left_out(tmp_path: Path) -> None:
    wav, _, table = voxceleb(tmp_path)
    shutil.rmtree(wav / "id10002")
    shutil.copytree(wav / "id10000", wav / "id10002")
    pairs, rejected = prepared(list_people(wav, None, table), tmp_path / "out")
    assert [person.name for person in pairs.people] == ["id10000", "id10001"]
    assert sum("who keeps it" in line for line in rejected) == 4
    assert "id10002: no recording of this person can be used" in rejected


def test_a_voice_without_photographs_is_told(tmp_path: Path) -> None:
    wav, photos, table = voxceleb(tmp_path)
    shutil.rmtree(photos / "Zoe_Z")
    found = list_people(wav, photos, table)
    assert len(found.people) == 3
    assert [(left.file, left.reason) for left in found.left_out] == [
        ("Zoe_Z", "no folder of photographs; the voice is kept without a face"),
        ("Nobody", "photographs of nobody who is heard"),
    ]


def test_faces_that_are_turned_away_and_landmarks_of_none(tmp_path: Path) -> None:
    found = list_people(*voxceleb(tmp_path))
    turned = Pose.from_angles(np.array([[50.0, 0.0, 0.0]]), np.full(1, 0.3), np.array([[30.0, 30.0]]))
    pairs, rejected = prepared(found, tmp_path / "a", landmark_graph(tmp_path / "turned.onnx", turned))
    assert not len(pairs.pictures)
    assert np.isnan(pairs.coefficients).all()
    assert sum("not seen from the front (yaw 5" in line for line in rejected) == 6
    noise = np.random.default_rng(0).uniform(0.2, 0.8, (1, 136))
    nothing = write_graph(tmp_path / "noise.onnx", noise, shape=(1, 3, 60, 60))
    _, rejected = prepared(found, tmp_path / "b", nothing)
    assert sum("are of no face" in line for line in rejected) == 6


def test_filter_banks_and_aligned_faces_of_wens_authors(tmp_path: Path) -> None:
    wav, photos, table = voxceleb(tmp_path)
    frames = np.random.default_rng(0).normal(5, 2, (90, 64)).astype(np.float32)
    own = wav / "id10000" / "abc"
    for name, array in (
        ("a.npy", frames), ("b.npy", frames[:50].T), ("bad.npy", np.zeros((3, 5))), ("nan.npy", frames * np.nan),
        ("whole.npy", np.zeros((9, 64), int)), ("same.npy", frames),
    ):  # fmt: skip
        np.save(own / name, array)
    with (own / "archive.npy").open("wb") as archive:
        np.savez(archive, frames=frames)
    (own / "header.npy").write_bytes((own / "a.npy").read_bytes()[:128])  # of more than is there
    (own / "text.npy").write_text("no array")
    (photos / "Ada_L" / "text.jpg").write_text("no picture")
    found = list_people(wav, photos, table)
    pairs, rejected = prepare(found, tmp_path / "out", DetectorChoice("aligned"), "hash")
    lengths = np.diff(pairs.offsets)[pairs.utterances[0]]
    assert {90, 50} <= set(lengths.tolist())
    at = int(pairs.utterances[0][lengths.tolist().index(90)])
    np.testing.assert_array_equal(pairs.utterance(at), frames.astype(np.float16))
    assert len(pairs.pictures) == 6
    assert np.isnan(pairs.coefficients).all()
    reasons = {Path(left.file).name: left.reason for left in rejected}
    assert {"bad.npy", "nan.npy", "whole.npy", "text.npy", "text.jpg", "archive.npy", "header.npy"} <= set(reasons)
    assert reasons["same.npy"] == "the same speech as in a.npy"
    assert "log-mel frames [T, 64] are needed" in reasons["bad.npy"]


def test_nobody_can_be_heard(tmp_path: Path) -> None:
    wav, photos, table = voxceleb(tmp_path)
    for file in wav.rglob("*.wav"):
        file.write_text("no sound")
    with pytest.raises(InputError, match=r"nobody's speech can be used; .*00000\.wav"):
        prepared(list_people(wav, photos, table), tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "verified.json"}


def test_a_run_that_was_killed_goes_on_to_the_same_files(
    tmp_path: Path, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list_people(*voxceleb(tmp_path))
    prepared(found, tmp_path / "whole", graph)
    done: list[str] = []
    prepare = preparation.prepare_person

    def until(most: int) -> None:
        def watched(one: OwnPerson, *rest: object) -> object:
            if len(done) == most:
                raise KeyboardInterrupt
            done.append(one.name)
            return prepare(one, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(preparation, "prepare_person", watched)

    until(2)
    with pytest.raises(KeyboardInterrupt):
        prepared(found, tmp_path / "cut", graph)
    kept = sorted((tmp_path / "cut" / "work").glob("*.npz"))
    assert len(kept) == 2
    kept[0].write_bytes(kept[0].read_bytes()[:-40])  # as after a full disk
    done.clear()
    until(9)
    shutil.rmtree(tmp_path / "cut" / "pairs")
    prepared(found, tmp_path / "cut", graph)
    assert len(done) == 2  # the damaged one and the one that was missing
    assert contents(tmp_path / "cut" / "pairs") == contents(tmp_path / "whole" / "pairs")
    # Other settings, or another file, are done again.
    done.clear()
    shutil.rmtree(tmp_path / "cut" / "pairs")
    prepared(found, tmp_path / "cut")
    assert len(done) == 3


@pytest.mark.slow
def test_files_that_are_gone_when_their_turn_comes(tmp_path: Path) -> None:
    wav, _, table = voxceleb(tmp_path)
    found = list_people(wav, None, table)
    shutil.rmtree(wav / "id10002")
    with pytest.raises(InputError, match=r"id10002.*was there at the start .*No such file.*; start again"):
        prepared(found, tmp_path)


def test_processes_prepare_the_same(tmp_path: Path, graph: Path) -> None:
    found = list_people(*voxceleb(tmp_path))
    for workers in (1, 2):
        prepared(found, tmp_path / str(workers), graph, engine=Processes(workers))
    assert contents(tmp_path / "1" / "pairs") == contents(tmp_path / "2" / "pairs")


@pytest.mark.slow
def test_two_nodes_of_which_one_is_killed_prepare_the_same(tmp_path: Path, graph: Path) -> None:
    """Ray with a machine lost in the middle: every person once, and the files of one process, to the bit."""
    pytest.importorskip("ray", reason="Ray comes with voxface[ray]")
    from tests.stand_ins.ray_nodes import Told, two_nodes, wait_for

    found = list_people(*many_people(tmp_path, 12))
    alone, _ = prepared(found, tmp_path / "alone", graph)
    with two_nodes() as nodes:
        engine = Told(nodes.engine, tmp_path / "marks", 1.0)
        done: list[Pairs] = []
        work = threading.Thread(
            target=lambda: done.append(prepared(found, tmp_path / "ray", graph, engine=engine)[0]), daemon=True
        )
        work.start()
        wait_for(lambda: engine.of(nodes.second, "ended"), 120)
        wait_for(lambda: engine.of(nodes.second, "begun") - engine.of(nodes.second, "ended"))
        nodes.kill()
        work.join(240)
    (pairs,) = done
    assert engine.begun_twice(), "nothing was under way on the machine that was lost"
    assert pairs.digest == alone.digest
    assert [person.name for person in pairs.people] == [person.name for person in found.people]
    assert contents(tmp_path / "ray" / "pairs") == contents(tmp_path / "alone" / "pairs")


def test_real_photographs(tmp_path: Path, shared: Path) -> None:
    """Real networks on real photographs: every frontal one is found; an empty one is not."""
    real = shared / "real"
    wav, photos, table = voxceleb(tmp_path)
    for file in list((photos / "Ada_L").iterdir()):
        file.unlink()
    for file in (real / "photos").glob("*.png"):
        (photos / "Ada_L" / file.name).write_bytes(file.read_bytes())
    (photos / "Ada_L" / "wall.png").write_bytes(png(np.full((200, 200, 3), 99, np.uint8)))
    from voxface.runtime.bundle.bundle import Bundle

    model = Bundle.open().morphable
    found = list_people(wav, photos, table)
    detector = DetectorChoice(
        f"onnx:{real / 'faceapi' / 'faceapi68.onnx'}", real / "ultra_light_face" / "version-RFB-320.onnx"
    )
    alone = replace(found, people=found.people[:1])
    pairs, rejected = prepare_people(
        alone, splits(alone.people, "hash"), OwnDataConfig(detector), model, Prior.unit(model.modes),
        tmp_path / "pairs", tmp_path / "work", name="own",
    )  # fmt: skip
    reasons = {Path(left.file).name: left.reason for left in rejected}
    assert reasons.pop("wall.png") == "no face found"
    assert set(reasons) <= {"Nobody", *(f.name for f in (real / "photos").glob("*.png"))}
    assert len(pairs.pictures) >= 5
    assert np.isfinite(pairs.coefficients).all()
    assert np.sqrt(np.square(pairs.coefficients[0, : model.identity_modes]).mean()) < 1
