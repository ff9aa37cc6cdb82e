"""Links of a page as the site has them: pages lie elsewhere there, and what lies outside docs/ has no page."""

import posixpath
import re
from typing import Final

OUTSIDE: Final = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages of the repository's root -> where the site has them."""
_FENCED: Final = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)[ \t]*$", re.M | re.S)
_LINK: Final = re.compile(r"(?P<picture>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)")
_ATTRIBUTE: Final = re.compile(r'(?P<name>\b(?:src|href|srcset))="(?P<target>[^"]+)"')
_REMARK: Final = re.compile(r"<!--.*?-->\n?", re.S)


def for_the_site(text: str, place: str) -> str:
    """The Markdown of a page, with links as they are on the site, and without remarks for programs.

    Args:
        text: the Markdown.
        place: the page's path on the site, such as "how-to/docker.md".
    """
    origin = {there: here for here, there in OUTSIDE.items()}.get(place, f"docs/{place}")
    parts, end = [], 0
    for fenced in _FENCED.finditer(text):
        parts += [_outside_code(text[end : fenced.start()], origin, place), fenced[0]]
        end = fenced.end()
    return "".join([*parts, _outside_code(text[end:], origin, place)])


def _outside_code(text: str, origin: str, place: str) -> str:
    text = _REMARK.sub("\n", text)
    # GitHub reads Markdown within; the site's reader has to be asked to.
    text = text.replace("<details>", '<details markdown="1">')

    def link(match: re.Match[str]) -> str:
        target = _target(match["target"], origin, place)
        words = _LINK.sub(link, match["text"])  # a picture may be the text of a link
        return words if target is None else f"{match['picture']}[{words}]({target})"

    def attribute(match: re.Match[str]) -> str:
        return f'{match["name"]}="{_target(match["target"], origin, place) or "#"}"'

    return _ATTRIBUTE.sub(attribute, _LINK.sub(link, text))


def _target(target: str, origin: str, place: str) -> str | None:
    """Where a link of the page at `origin` in the repository leads on the site; None: the site does not have it."""
    if re.match(r"[a-z]+:|#", target):
        return target
    path, _, anchor = target.partition("#")
    there = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
    there = OUTSIDE.get(there, there.removeprefix("docs/") if there.startswith("docs/") else "")
    if not there:
        return None
    return posixpath.relpath(there, posixpath.dirname(place) or ".") + (f"#{anchor}" if anchor else "")
