"""The bill of materials of a lock, as CycloneDX 1.6 JSON: every package with its hashes, and what asks for what.

python -m release.sbom [--lock requirements/demo.lock] [--out dist/sbom.json]

The same lock gives the same bytes. The default bundle is a component too, with the SHA-256 of its manifest, which holds those
of its files. A package's hashes are those of all its published files, of which one is installed.
"""

import argparse
import hashlib
import json
import sys
import uuid
from pathlib import Path
from typing import Any, Final

from release.locked import Locked, read_lock
from voxface.runtime.version import __version__

ROOT: Final = Path(__file__).parent.parent
NAME: Final = "voxface-runtime"
BUNDLE: Final = ROOT / "src" / "voxface" / "runtime" / "bundle" / "default" / "bundle.json"


def bill_of_materials(lock: Path) -> dict[str, Any]:
    """The document of a lock.

    Raises:
        ValueError: the lock cannot be read.
    """
    packages = read_lock(lock)
    refs = {package.name: _purl(package.name, package.version) for package in packages}
    own, bundle = _purl(NAME, __version__), _bundle()
    asked: dict[str, set[str]] = {ref: set() for ref in (own, bundle["bom-ref"], *refs.values())}
    asked[own].add(bundle["bom-ref"])
    for package in packages:
        for name in package.via or (NAME,):
            # What torch asks for is locked, torch is not (release/lock.py): the program itself asks for it then.
            asked[refs.get(name, own)].add(refs[package.name])
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": NAME,
                "version": __version__,
                "purl": own,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": [bundle, *(_component(package, refs[package.name]) for package in packages)],
        "dependencies": [{"ref": ref, "dependsOn": sorted(on)} for ref, on in sorted(asked.items())],
    }
    number = uuid.uuid5(uuid.NAMESPACE_OID, hashlib.sha256(json.dumps(document).encode()).hexdigest())
    return {"serialNumber": f"urn:uuid:{number}", **document}


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"


def _component(package: Locked, ref: str) -> dict[str, Any]:
    marker = [{"name": "voxface:marker", "value": package.marker}] if package.marker else []
    files = [
        {"type": "distribution", "url": ref, "hashes": [{"alg": "SHA-256", "content": digest}]}
        for digest in package.hashes
    ]
    return {
        "type": "library",
        "bom-ref": ref,
        "name": package.name,
        "version": package.version,
        "purl": ref,
        "externalReferences": files,
        **({"properties": marker} if marker else {}),
    }


def _bundle() -> dict[str, Any]:
    """The networks and the face model that the package carries."""
    data = BUNDLE.read_bytes()
    manifest = json.loads(data)
    name, version = manifest["name"], manifest["version"]
    return {
        "type": "machine-learning-model",
        "bom-ref": f"{name}@{version}",
        "name": name,
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}],
    }


def main() -> None:
    """Writes the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0], allow_abbrev=False)
    parser.add_argument(
        "--lock", type=Path, default=ROOT / "requirements" / "demo.lock", help="(requirements/demo.lock)"
    )
    parser.add_argument("--out", type=Path, help="the file to write (standard output)")
    options = parser.parse_args()
    text = json.dumps(bill_of_materials(options.lock), indent=1) + "\n"
    if options.out is None:
        sys.stdout.write(text)
    else:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)


if __name__ == "__main__":
    main()
