"""The manifest: every document survives a round trip, and what is wrong with one is named by its place."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.cli import main
from voxface.runtime.bundle.bundle import DEFAULT, Bundle
from voxface.runtime.bundle.graph_entries import GraphEntry
from voxface.runtime.bundle.json_record import Settings
from voxface.runtime.bundle.manifest import GRAPHS, MANIFEST, Manifest, digest
from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.config.vad import VadConfig
from voxface.runtime.errors import BundleError

DOCUMENT: dict[str, Any] = json.loads((DEFAULT / MANIFEST).read_text())
# Fields that few bundles have.
ENGINE = {
    "graph": "mesh", "flavour": "tensorrt-rtx", "version": "1.7", "targets": ["sm86"], "onnx_sha256": "0" * 64,
    "precision": ["float32"], "profile": {"embedding": {"min": [1, 64], "opt": [1, 64], "max": [1, 64]}},
    "changes": [{"what": "products", "nodes": ["a"], "because": "refused"}], "file": "engines/a.plan", "size": 3,
}  # fmt: skip
RICH: dict[str, Any] = {
    **DOCUMENT,
    "precision": {
        **DOCUMENT["precision"],
        "calibrated": {
            "mode": "int8", "tolerances": {"cosine": 0.9}, "weight_bits": 7, "nodes": {"face": {"int8": 3}},
            "plan": {"file": "plan.json"}, "source": {"name": "x", "version": None, "sha256": "0"}, "tools": {"onnx": "1"},
        },
    },
    "imported": {"format": "wen2019", "encoder": {"file": "a.pth", "sha256": "0"}, "mesh": "mean face"},
    "retargeting": {"from": "a", "to": "b", "base_bundle": {"name": "x"}, "scale": 1, "expression_explained": None},
    "engines": [ENGINE],
}  # fmt: skip
OPEN = {"front_end", "vad"}  # a setting that is not known is an error

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def objects(document: Any, name: str = "") -> Iterator[dict[str, Any]]:
    """Every JSON object in a document, but the settings."""
    if isinstance(document, dict):
        if name not in OPEN:
            yield document
            for key, value in document.items():
                yield from objects(value, key)
    elif isinstance(document, list):
        for value in document:
            yield from objects(value)


def records(manifest: Any) -> Iterator[dict[str, Any]]:
    """The objects of a document that are records with fields of their own: a field more harms nothing there."""
    yield manifest
    for key in ("morphable_model", "population", "calibration", "precision", "model_card", "imported", "retargeting",
                "speech_modulation", "speaker_change"):  # fmt: skip
        if key in manifest:
            yield manifest[key]
    yield from manifest["graphs"].values()
    for graph in manifest["graphs"].values():
        yield from (*graph["inputs"].values(), *graph["outputs"].values())
    for engine in manifest.get("engines", []):
        yield from (engine, *engine["profile"].values(), *engine["changes"])
    yield from manifest["files"].values()
    yield from (manifest["precision"]["calibrated"][key] for key in ("plan", "source"))
    for part, names in (("speech_modulation", ("centre", "weight")), ("speaker_change", ("weights",))):
        yield from (manifest[part][name] for name in names if part in manifest)


@pytest.mark.parametrize("document", [DOCUMENT, RICH], ids=["default", "rich"])
def test_a_round_trip_changes_nothing(document: dict[str, Any]) -> None:
    assert Manifest.from_json(document).to_json() == document


def test_the_default_manifest_is_written_as_it_is_stored() -> None:
    text = (DEFAULT / MANIFEST).read_bytes()
    assert Manifest.from_bytes(text).to_bytes() + b"\n" == text
    bundle = Bundle.open()
    assert bundle.replacing().manifest.to_bytes() + b"\n" == text


def test_settings_that_have_the_default_value_need_not_be_written() -> None:
    document = {**DOCUMENT, "front_end": {}, "vad": {"mode": 3}}
    manifest = Manifest.from_json(document)
    assert manifest.to_json() == document
    assert (manifest.front_end.config, manifest.vad.config) == (FrontEndConfig(), VadConfig(mode=3))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_unknown_fields_survive_at_every_level(data: st.DataObject) -> None:
    document = copy.deepcopy(RICH)
    places = list(records(document))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.sampled_from(places))
        place["new " + data.draw(st.text())] = data.draw(values)
    manifest = Manifest.from_json(document)
    assert manifest.to_json() == document
    assert Manifest.from_json(json.loads(manifest.to_bytes())) == manifest
    renamed = replace(manifest, name="other").to_json()
    assert renamed == {**document, "name": "other"}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_value_of_any_kind_anywhere_is_kept_or_refused(data: st.DataObject) -> None:
    document = copy.deepcopy(RICH)
    place = data.draw(st.sampled_from([found for found in objects(document) if found]))
    name = data.draw(st.sampled_from(sorted(place)))
    if data.draw(st.booleans()):
        place[name] = data.draw(values)
    else:
        del place[name]
    try:
        manifest = Manifest.from_json(document)
        manifest.check()
    except BundleError as refusal:
        message = str(refusal)
    else:
        assert manifest.to_json() == {"schema": 1, **document}
        return
    assert message.startswith(("the manifest is incomplete or wrong: ", "the manifest lists no file for "))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": None}, "name is None, not a text"),
        ({"graphs": {**DOCUMENT["graphs"], "mesh": {"inputs": {}, "outputs": {}}}}, "graphs.mesh.file is missing"),
        ({"graphs": {**DOCUMENT["graphs"], "mesh": {"file": "m", "inputs": {"x": {"dtype": "float32", "shape": 3}},
                                                    "outputs": {}}}}, "graphs.mesh.inputs.x.shape is no list"),
        ({"graphs": {**DOCUMENT["graphs"], "mesh": {"file": "m", "inputs": {"x": {"dtype": "float32", "shape": [2.5]}},
                                                    "outputs": {}}}},
         r"graphs.mesh.inputs.x.shape\[0\] is 2.5, not a whole number or a text"),
        ({"trained_on": "speech"}, "trained_on is no list"),
        ({"metrics": []}, "metrics is no object"),
        ({"vad": {"mode": 9}}, "vad: VAD mode 9 is not 0, 1, 2 or 3"),
        ({"front_end": {"pitch": 1}}, "front_end: .*pitch"),
        ({"calibration": {"sex_slope": float("nan")}}, "calibration.sex_slope is nan, not a finite number"),
        ({"engines": [{**ENGINE, "targets": [86]}]}, r"engines\[0\].targets\[0\] is 86, not a text"),
        ({"files": {"a": {"size": True, "sha256": "0"}}}, "files.a.size is True, not a whole number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_place(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(BundleError, match=f"the manifest is incomplete or wrong: {reason}"):
        Manifest.from_json({**DOCUMENT, **change})


# -- a changed bundle ------------------------------------------------------------------------------------------------------


def test_replacing_changes_what_is_given_and_seals_it(default_bundle: Bundle, tmp_path: Path) -> None:
    changed = default_bundle.replacing(
        files={"notes.txt": b"more", "population.npz": None}, population=None, name="mine",
        vad=Settings.complete(VadConfig(mode=3)),
    )  # fmt: skip
    document = changed.manifest.to_json()
    assert (changed.name, changed.vad.mode, document["name"]) == ("mine", 3, "mine")
    assert "population" not in document
    assert set(changed.files) == {*default_bundle.files, "notes.txt"} - {"population.npz"} == set(document["files"])
    assert document["sha256"] == digest(document) != default_bundle.manifest.sha256
    assert default_bundle.name == "voxface-default", "the bundle itself stays as it was"
    for name in ("a.voxface", "folder"):
        again = changed.write(tmp_path / name)
        assert again.manifest == changed.manifest
        assert again.files == changed.files


def test_graphs_are_replaced_one_by_one(default_bundle: Bundle) -> None:
    entry = GraphEntry(file="more.onnx", inputs={}, outputs={})
    more = default_bundle.replacing(files={"more.onnx": b"graph"}, graphs={"more": entry})
    assert list(more.manifest.graphs) == [*GRAPHS, "more"]
    assert list(more.replacing(graphs={"more": None}).manifest.graphs) == list(GRAPHS)


def test_unknown_fields_go_along(default_bundle: Bundle, tmp_path: Path) -> None:
    manifest = Manifest.from_json({**default_bundle.manifest.to_json(), "colour": "blue"})
    bundle = Bundle(default_bundle.path, manifest, default_bundle.files).replacing(name="other").write(tmp_path / "b")
    assert bundle.manifest.unknown == {"colour": "blue"}
    assert json.loads((tmp_path / "b" / MANIFEST).read_text())["colour"] == "blue"


@pytest.mark.parametrize(
    ("section", "name", "value", "reason"),
    [
        ("front_end", "floor", "x", "front_end.floor is 'x', not a finite number"),
        ("front_end", "preemphasis", None, "front_end.preemphasis is None, not a finite number"),
        ("front_end", "name", 5, "front_end.name is 5, not a text"),
        ("front_end", "mels", True, "front_end.mels is True, not a whole number"),
        ("vad", "frame", 320.0, "vad.frame is 320.0, not a whole number"),
        ("vad", "ring", True, "vad.ring is True, not a whole number"),
        ("speaker_change", "threshold", 10**400, "speaker_change.threshold is 1"),
    ],
)
def test_a_setting_of_another_type_is_refused(section: str, name: str, value: object, reason: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    document[section][name] = value
    with pytest.raises(BundleError, match=reason):
        Manifest.from_json(document)


def test_a_bundle_with_nulls_is_described(
    default_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nulls = dict.fromkeys(("metrics", "model_card", "trained_on", "licence", "description", "version", "engines"))
    bundle = default_bundle.replacing(**nulls, unknown=nulls)
    bundle.write(tmp_path / "nulls")
    assert main(["bundle", "info", str(tmp_path / "nulls")]) == 0
    assert "not given" in capsys.readouterr().out
