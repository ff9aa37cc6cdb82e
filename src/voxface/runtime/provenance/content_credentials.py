"""C2PA manifests ("content credentials"): signed with the user's own certificate, and read from files of any maker.

c2pa-python can fetch manifests, ask for revocations and for time stamps over the network. Its settings here switch all of that
off; only an authority for time stamps that the user names is asked.
"""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from voxface.runtime.errors import InputError, ProviderError, UsageError
from voxface.runtime.files.regular import read_bytes
from voxface.runtime.install_advice import how_to_install
from voxface.runtime.provenance.found_mark import FoundMark, canonical, source_types, text
from voxface.runtime.provenance.mark import TRAINED_ALGORITHMIC_MEDIA
from voxface.runtime.version import __version__

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

LARGEST_PEM: Final = 1 << 20  # bytes
# The smallest picture: what cannot be signed is found before the work.
_TRIAL: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)


class PngSigner:
    """Signs PNG files with a certificate."""

    def __init__(self, certificate: Path, key: Path, *, timestamps: str | None = None) -> None:
        """Reads certificate and key, and tries them.

        Args:
            certificate: PEM file of the signer's certificate, then those of its chain.
            key: PEM file of the private key, without a password.
            timestamps: http(s) URL of an authority that is asked for a time stamp of each signature; None: nobody is asked.

        Raises:
            ProviderError: c2pa-python is not installed, or its library cannot be loaded.
            UsageError: a URL that cannot be.
            InputError: certificate or key cannot be read or used, or do not belong together.
        """
        self._c2pa = _library()
        hosts = [] if timestamps is None else [_host(timestamps)]
        self._where = f"--sign-cert {certificate}"
        chain, private, algorithm = _credentials(certificate, key)
        self._context = self._c2pa.Context.from_dict(_settings(hosts))
        try:
            self._signer = self._c2pa.Signer.from_info(self._c2pa.C2paSignerInfo(algorithm, chain, private, timestamps))
        except self._c2pa.C2paError as error:
            raise self._refused(error) from error
        signed = self.sign(_TRIAL)
        (found,) = read_manifest("trial", "image/png", signed, signed)
        if (
            found.signature is not None and found.signature["state"] == "invalid"
        ):  # expired, say, or for another purpose
            raise self._refused(found.signature["why"])

    def sign(self, data: bytes) -> bytes:
        """A PNG file with a signed manifest: that it was created by voxface, by a trained algorithm.

        Raises:
            InputError: the certificate cannot sign, or the authority for time stamps gave none.
        """
        agent = {"name": "voxface", "version": __version__}
        action = {
            "action": "c2pa.created",
            "digitalSourceType": TRAINED_ALGORITHMIC_MEDIA,
            "softwareAgent": agent,
        }
        manifest = {
            "claim_generator_info": [agent],
            "format": "image/png",
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
        }
        signed = io.BytesIO()
        try:
            builder = self._c2pa.Builder.from_json(json.dumps(manifest), context=self._context)
            builder.sign(self._signer, "image/png", io.BytesIO(data), signed)
        except self._c2pa.C2paError as error:
            raise self._refused(error) from error
        return signed.getvalue()

    def _refused(self, why: object) -> InputError:
        return InputError(
            f"{self._where}: cannot sign ({text(str(why))}); C2PA takes a certificate that an authority has signed, for "
            "digital signatures, with its chain (docs/provenance.md)"
        )


def read_manifest(where: str, kind: str, data: bytes, box: bytes) -> list[FoundMark]:
    """What the C2PA manifest of a file says.

    Args:
        where: the place in the file.
        kind: the file's MIME type.
        data: the file.
        box: the manifest, in which digital source types are looked for where c2pa-python is not installed.
    """
    try:
        c2pa = _library()
    except ProviderError:
        found = source_types(where, box.decode("utf-8", "replace")) or [FoundMark(where)]
        unchecked = {"state": "not checked", "by": None, "why": f"c2pa-python is not here: {how_to_install('c2pa')}"}
        return [_signed(mark, unchecked) for mark in found]
    try:
        with (
            c2pa.Context.from_dict(_settings([])) as context,
            c2pa.Reader(kind, io.BytesIO(data), context=context) as reader,
        ):
            document = json.loads(reader.json())
            state = str(reader.get_validation_state() or "invalid").lower()
    except (c2pa.C2paError, ValueError) as error:
        return [FoundMark(where, signature={"state": "invalid", "by": None, "why": text(str(error))})]
    return [_of_manifest(where, document, state)]


def _of_manifest(where: str, document: dict[str, Any], state: str) -> FoundMark:
    """The mark of the newest manifest in what c2pa-python tells."""
    manifest = document.get("manifests", {}).get(document.get("active_manifest"), {})
    generator: dict[str, Any] = next(iter(manifest.get("claim_generator_info") or []), {})
    name, version = generator.get("name"), generator.get("version")
    actions = [
        action
        for assertion in manifest.get("assertions", [])
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for action in assertion.get("data", {}).get("actions", [])
    ]
    source_type = next((each["digitalSourceType"] for each in actions if each.get("digitalSourceType")), None)
    signer = manifest.get("signature_info", {})
    failures = document.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    why = ", ".join(str(each.get("explanation") or each.get("code")) for each in failures)
    return FoundMark(
        where,
        digital_source_type=canonical(source_type),
        software=text(f"{name} {version}" if version else name),
        signature={
            "state": state,
            "by": text(signer.get("common_name") or signer.get("issuer")),
            "why": text(why) or None,
        },
        ours=name == "voxface",
    )


def _signed(mark: FoundMark, signature: dict[str, str | None]) -> FoundMark:
    from dataclasses import replace

    return replace(mark, signature=signature)


def _library() -> Any:
    try:
        import c2pa
    except (ImportError, OSError, RuntimeError) as error:  # its own loader raises RuntimeError
        missing = isinstance(error, ModuleNotFoundError) and error.name == "c2pa"
        what = "c2pa-python is not installed" if missing else f"c2pa-python cannot be loaded ({error})"
        raise ProviderError(f"content credentials: {what}; {how_to_install('c2pa')}") from error
    return c2pa


def _settings(hosts: list[str]) -> dict[str, Any]:
    """Settings of c2pa-python: of the network it may reach these hosts alone, and it makes no thumbnails."""
    return {
        "version": 1,
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
        "builder": {"thumbnail": {"enabled": False}},
        "core": {"allowed_network_hosts": hosts},
    }


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        parts, host = None, None
    if parts is None or host is None or parts.scheme not in ("http", "https"):
        raise UsageError(f"--sign-timestamps {url}: give the http(s) URL of an authority for time stamps (RFC 3161)")
    return host


def _credentials(certificate: Path, key: Path) -> tuple[bytes, bytes, str]:
    """The chain and the private key as PEM, and C2PA's name of the algorithm.

    Raises:
        InputError: one of them cannot be read or used, or they do not belong together.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as pem

    chain = read_bytes(certificate, LARGEST_PEM)
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
        wanted = leaf.public_key().public_bytes(pem.Encoding.DER, pem.PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(
            f"--sign-cert {certificate}: holds no certificate in PEM; give the signer's, then its chain"
        ) from error
    data = read_bytes(key, LARGEST_PEM)
    try:
        private = pem.load_pem_private_key(data, None)
    except TypeError as error:
        raise InputError(
            f"--sign-key {key}: is protected by a password; give it without: openssl pkey -in FILE -out NEW"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"--sign-key {key}: holds no private key in PEM") from error
    if private.public_key().public_bytes(pem.Encoding.DER, pem.PublicFormat.SubjectPublicKeyInfo) != wanted:
        raise InputError(f"--sign-key {key}: is not the key of the first certificate in {certificate}")
    written = private.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    return chain, written, _algorithm(key, private)


def _algorithm(file: Path, key: "PrivateKeyTypes") -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    curves = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in curves:
        return curves[key.curve.name]
    raise InputError(
        f"--sign-key {file}: is of no kind that C2PA knows; it takes P-256, P-384, P-521, Ed25519, or RSA of 2048 bits on"
    )
