"""Names of files as texts. A name on a disk may be no text, and one text may be written in several ways."""

import unicodedata


def composed(name: str) -> str:
    """A name in Unicode's composed form (NFC): macOS decomposes letters with marks, tables and other systems do not."""
    return unicodedata.normalize("NFC", name)


def is_unicode(name: str) -> bool:
    """Whether a name can be written as text; of a disk from elsewhere, with names in Latin-1 say, it may not."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
