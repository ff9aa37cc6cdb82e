"""The bill of materials and the tag of a release."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from release.locked import read_lock
from release.sbom import bill_of_materials
from release.tag import complaints, entry_of, main

from tests.conftest import ROOT
from voxface.runtime.version import __version__

CHANGELOG = (
    "# Changelog\n\n## Unreleased\n\n## 1.2.3 – 2026-12-01\n\n### Added\n\n* This.\n\n## 1.2.2 – 2026-11-01\n\n* That\n"
)


@pytest.mark.parametrize("name", ["demo", "serve", "test"])
def test_the_bill_lists_every_package_with_its_hashes(name: str) -> None:
    lock = ROOT / "requirements" / f"{name}.lock"
    document = json.loads(json.dumps(bill_of_materials(lock)))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", document["serialNumber"])
    assert document["metadata"]["component"]["version"] == __version__
    bundle, *components = document["components"]
    assert bundle["type"] == "machine-learning-model"
    packages = read_lock(lock)
    assert [(c["name"], c["version"]) for c in components] == [(p.name, p.version) for p in packages]
    for component, package in zip(components, packages, strict=True):
        digests = [h["content"] for r in component["externalReferences"] for h in r["hashes"]]
        assert digests == list(package.hashes)
    refs = [c["bom-ref"] for c in document["components"]] + [document["metadata"]["component"]["bom-ref"]]
    assert len(refs) == len(set(refs))
    assert {d["ref"] for d in document["dependencies"]} == set(refs)
    assert all(set(d["dependsOn"]) <= set(refs) for d in document["dependencies"])
    on = {d["ref"]: d["dependsOn"] for d in document["dependencies"]}
    reached, left = set(), [document["metadata"]["component"]["bom-ref"]]
    while left:
        if (ref := left.pop()) not in reached:
            reached.add(ref)
            left += on[ref]
    assert reached == set(refs), "everything is asked for by something"


def test_the_same_lock_gives_the_same_bill(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "release.sbom", "--out"]
    for name in ("a.json", "b.json"):
        subprocess.run([*command, tmp_path / "new" / name], cwd=ROOT, check=True)
    assert (tmp_path / "new" / "a.json").read_bytes() == (tmp_path / "new" / "b.json").read_bytes()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, whose change log has 1.2.3."""
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    settings = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "."], [*settings, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    for name, value in (("user.name", "A"), ("user.email", "a@example.org"), ("tag.gpgsign", "false")):
        subprocess.run(["git", "config", name, value], cwd=tmp_path, check=True)
    return tmp_path


def tags(repository: Path) -> str:
    command = ["git", "tag", "--list", "--format=%(refname:short) %(contents)"]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout.strip()


def test_a_release_is_tagged_with_its_entry(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tag", "--dry-run"])
    main(repository, "1.2.3")
    assert tags(repository) == ""
    monkeypatch.setattr(sys, "argv", ["tag"])
    main(repository, "1.2.3")
    assert tags(repository) == "v1.2.3 voxface-runtime 1.2.3\n\n### Added\n\n* This."
    with pytest.raises(SystemExit, match="is tagged already"):
        main(repository, "1.2.3")


def test_what_is_in_the_way_is_said(repository: Path) -> None:
    assert complaints(repository, "1.2.3") == []
    assert "no heading '## 1.2.4 – YYYY-MM-DD'" in complaints(repository, "1.2.4")[0]
    (repository / "left.txt").touch()
    assert "not clean" in complaints(repository, "1.2.3")[0]
    (repository / "left.txt").unlink()
    (repository / "CHANGELOG.md").write_text(CHANGELOG.replace("Unreleased\n", "Unreleased\n\n* More.\n"))
    subprocess.run(["git", "commit", "-qam", "more"], cwd=repository, check=True)
    assert "under 'Unreleased'" in complaints(repository, "1.2.3")[0]


def test_an_entry_ends_where_the_next_begins() -> None:
    assert entry_of(CHANGELOG, "1.2.3") == "### Added\n\n* This."
    assert entry_of(CHANGELOG, "1.2.2") == "* That"
    assert entry_of(CHANGELOG.replace("2026-12-01", "soon"), "1.2.3") is None
    assert entry_of(CHANGELOG, "1.2") is None


def test_templates_of_the_repository_can_be_read() -> None:
    import yaml

    folder = ROOT / ".github"
    for form in sorted((folder / "ISSUE_TEMPLATE").glob("*.yml")):
        document = yaml.safe_load(form.read_text())
        if form.name != "config.yml":
            assert {"name", "description", "body"} <= set(document), form
            assert any(part["type"] in ("textarea", "input") for part in document["body"]), form
    assert (folder / "pull_request_template.md").is_file()


def test_it_can_be_cited() -> None:
    """What the Citation File Format asks for, and nothing that is stated elsewhere in another way."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert "version" not in cited  # it stands in one place, voxface.runtime.version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert cited["license"] == project["license"]
    assert cited["authors"] == project["authors"]
    assert [work["year"] for work in cited["references"]] == [2019, 2022]
    assert all({"type", "title", "authors"} <= set(work) for work in cited["references"])
