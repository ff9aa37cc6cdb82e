"""What a generated face says of itself, in the words and keys that all formats share.

A mark has no date and no random number, so that files stay the same from run to run.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from voxface.runtime.version import __version__

KEY: Final = "synthetic"  # of JSON documents, and of `extras` in glTF
SOFTWARE: Final = f"voxface {__version__}"
DIGITAL_SOURCE_TYPES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"  # the vocabulary of IPTC
TRAINED_ALGORITHMIC_MEDIA: Final = f"{DIGITAL_SOURCE_TYPES}trainedAlgorithmicMedia"
ALGORITHMIC_MEDIA: Final = f"{DIGITAL_SOURCE_TYPES}algorithmicMedia"
LONGEST_NAME: Final = 200  # letters of a bundle's name
Source = Literal["voice", "population"]


@dataclass(frozen=True)
class Mark:
    """The mark of a face.

    Attributes:
        bundle: the name of the bundle that made it; None where none is known.
        bundle_sha256: the digest of its manifest.
        source: what the face was made from: a voice, or statistics of a population alone.
    """

    bundle: str | None = None
    bundle_sha256: str | None = None
    source: Source = "voice"

    @property
    def digital_source_type(self) -> str:
        """The URI of IPTC for how such media come about."""
        return TRAINED_ALGORITHMIC_MEDIA if self.source == "voice" else ALGORITHMIC_MEDIA

    @property
    def notice(self) -> str:
        """The mark in words, in one line."""
        if self.source == "population":
            return f"Synthetic face, drawn by {SOFTWARE} from statistics of a population. It shows no real person."
        name = self.shown_bundle
        by = f"{SOFTWARE} with the bundle {name}" if name else SOFTWARE
        return f"Synthetic face, generated from a voice by {by}. It is not the speaker's likeness."

    @property
    def shown_bundle(self) -> str | None:
        """The bundle's name in one line of printable letters, and no longer than `LONGEST_NAME`."""
        if self.bundle is None:
            return None
        line = "".join(letter if letter.isprintable() else "?" for letter in self.bundle)
        return line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…"

    def to_json(self) -> dict[str, Any]:
        """The mark as a JSON object, the value of `KEY`."""
        return {
            "source": self.source,
            "likeness": False,
            "digital_source_type": self.digital_source_type,
            "software": SOFTWARE,
            "bundle": self.shown_bundle,
            "bundle_sha256": self.bundle_sha256,
            "notice": self.notice,
        }


DRAWN: Final = Mark(source="population")
OF_NO_BUNDLE: Final = Mark()  # of a face whose bundle is not known: it is synthetic all the same
