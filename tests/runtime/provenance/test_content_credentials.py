"""Pictures signed with a certificate of one's own, read again, changed and read again."""

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("c2pa", reason="c2pa-python comes with voxface[c2pa]")

from cryptography.hazmat.primitives import serialization as pem

from tests.stand_ins.signing_certificate import key_of, write_certificate
from tests.system_calls import watch
from voxface.runtime.errors import InputError, ProviderError, UsageError
from voxface.runtime.face.png import picture_alone, png
from voxface.runtime.provenance.content_credentials import PngSigner
from voxface.runtime.provenance.finding import find_marks
from voxface.runtime.provenance.found_mark import FoundMark
from voxface.runtime.provenance.mark import TRAINED_ALGORITHMIC_MEDIA, Mark

IMAGE = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)
PICTURE = png(IMAGE, Mark("a bundle", "0" * 64))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def signer(certificate: tuple[Path, Path]) -> PngSigner:
    return PngSigner(*certificate)


def manifest_of(folder: Path, data: bytes) -> FoundMark:
    (folder / "a.png").write_bytes(data)
    (found,) = [mark for mark in find_marks(folder / "a.png").marks if mark.where == "caBX"]
    return found


@pytest.mark.parametrize("kind", ["p256", "p384", "ed25519", "rsa"])
def test_a_signed_picture(tmp_path: Path, kind: str) -> None:
    signed = PngSigner(*write_certificate(tmp_path, kind)).sign(PICTURE)
    assert picture_alone(signed) == picture_alone(PICTURE)
    found = manifest_of(tmp_path, signed)
    assert found.synthetic
    assert found.ours
    assert found.digital_source_type == TRAINED_ALGORITHMIC_MEDIA
    assert found.signature == {"state": "valid", "by": "test signer", "why": "signing certificate untrusted"}
    assert len(find_marks(tmp_path / "a.png").marks) == 3, "the other marks are still there"


def test_a_signer_signs_many(tmp_path: Path, signer: PngSigner) -> None:
    for shade in (0, 128):
        found = manifest_of(tmp_path, signer.sign(png(np.full((8, 8, 3), shade, np.uint8))))
        assert found.signature is not None
        assert found.signature["state"] == "valid"


def test_a_picture_that_was_changed_after_it_was_signed(tmp_path: Path, signer: PngSigner) -> None:
    signed = signer.sign(PICTURE)
    pixels = picture_alone(PICTURE)[33:]
    other = picture_alone(png(255 - IMAGE))[33:]
    assert pixels in signed
    found = manifest_of(tmp_path, signed.replace(pixels, other))
    assert found.signature is not None
    assert found.signature["state"] == "invalid"


def test_without_the_library_a_manifest_is_seen_but_not_checked(
    tmp_path: Path, signer: PngSigner, monkeypatch: pytest.MonkeyPatch, certificate: tuple[Path, Path]
) -> None:
    signed = signer.sign(PICTURE)
    monkeypatch.setitem(sys.modules, "c2pa", None)
    found = manifest_of(tmp_path, signed)
    assert found.digital_source_type == TRAINED_ALGORITHMIC_MEDIA
    assert found.signature is not None
    assert found.signature["state"] == "not checked"
    with pytest.raises(ProviderError, match="c2pa"):
        PngSigner(*certificate)


def test_what_cannot_sign(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    chain, key = certificate
    other, locked, weak = tmp_path / "other.pem", tmp_path / "locked.pem", tmp_path / "words.pem"
    private = key_of("p256")
    other.write_bytes(private.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
    locked.write_bytes(
        private.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret"))
    )
    weak.write_text("no key")
    for cert, private_key, why in (
        (chain, other, "is not the key of the first certificate"),
        (chain, locked, "protected by a password"),
        (chain, weak, "no private key in PEM"),
        (weak, key, "no certificate in PEM"),
        (tmp_path / "none.pem", key, "no such file"),
        (chain, tmp_path, "is a folder"),
    ):
        with pytest.raises(InputError, match=why):
            PngSigner(cert, private_key)


@pytest.mark.parametrize("wrong", ["expired", "servers"])
def test_a_certificate_that_is_no_good_is_refused_before_the_work(tmp_path: Path, wrong: str) -> None:
    chain, key = write_certificate(tmp_path, **{wrong: True})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="cannot sign"):
        PngSigner(chain, key)


class _Asked(BaseHTTPRequestHandler):
    """An authority that notes who asks, and refuses."""

    asked: list[str]

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.send_response(500)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def authority() -> Iterator[tuple[str, list[str]]]:
    """The URL of an authority for time stamps on this machine, and what it was asked."""
    asked: list[str] = []
    server = HTTPServer(("127.0.0.1", 0), type("Asked", (_Asked,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/stamp", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_authority_for_time_stamps_is_asked_only_if_it_is_named(
    certificate: tuple[Path, Path], authority: tuple[str, list[str]]
) -> None:
    url, asked = authority
    PngSigner(*certificate).sign(PICTURE)
    assert asked == []
    with pytest.raises(InputError, match="cannot sign"):
        PngSigner(*certificate, timestamps=url)
    assert asked == ["/stamp"]
    for wrong in ("ftp://somewhere/x", "no address", "http://[", "https://"):
        with pytest.raises(UsageError, match="--sign-timestamps"):
            PngSigner(*certificate, timestamps=wrong)


@pytest.mark.slow
def test_signing_and_reading_ask_nobody_and_leave_nothing(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    program = f"""
from pathlib import Path
import numpy as np
from voxface.runtime.face.png import png
from voxface.runtime.provenance.content_credentials import PngSigner
from voxface.runtime.provenance.finding import find_marks
signer = PngSigner(Path({str(certificate[0])!r}), Path({str(certificate[1])!r}))
Path("a.png").write_bytes(signer.sign(png(np.zeros((8, 8, 3), np.uint8))))
assert find_marks(Path("a.png")).marks[0].signature["state"] == "valid"
"""
    watched = watch(tmp_path, ["-c", program])
    assert watched.done.returncode == 0, watched.done.stderr
    assert watched.network() == []
    assert watched.strange_files() == []
    assert watched.home() == []
