"""The guides that come with the library: which there are, and the text of each."""

from __future__ import annotations

import re
from difflib import get_close_matches
from importlib.resources import files

_FIRST = ("tutorial", "how-to")  # where a newcomer begins; the others follow by name
_LONGEST_LIST = 6  # of sections that mention what was asked for
_SMALL_WORDS = frozenset({"the", "for", "from", "how", "this", "was", "were", "what", "when", "which", "why", "with"})


class Guide(str):
    """
    The text of a guide, in Markdown. A prompt shows it as it is, a notebook as a formatted page.

    Example:
        >>> Guide("# Keys")
        # Keys
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


def docs(topic: str | None = None) -> Guide:
    """
    Return a guide to the library, a section of one, or the list of all guides.

    The guides are installed with the library, so this needs no network. ``entropic docs TOPIC`` shows the same in a
    terminal.

    Args:
        topic: The name of a guide, such as ``"keys"`` or ``"code changes"``, or the heading of a section, such as
            ``"StaleResultWarning"``. Without it, the guides are listed with one line each.

    Returns:
        The text: a `str` that a prompt and a notebook show as a page.

    Raises:
        ValueError: There is no such guide or section; the message proposes a near name, lists the guides, and names the
                sections that mention the words.

    Example:
        >>> print(docs("keys")[:6])
        # Keys
        >>> docs("an array job").splitlines()[0]
        '## An array job'
    """
    guides = _read()
    if topic is None:
        return Guide("".join(f"- `{name}`: {summary}\n" for name, summary in topics().items()))
    found = guides.get(_spelled(topic)) or _section(guides, topic)
    if found is None:
        raise ValueError(_not_found(guides, topic))
    return Guide(found)


def topics() -> dict[str, str]:
    """
    The names of the guides, each with what it is about.

    Example:
        >>> topics()["keys"]
        'What makes two calls the same point.'
    """
    return {name: text.split("\n\n")[1].replace("\n", " ") for name, text in _read().items()}


def _read() -> dict[str, str]:
    """The texts of all guides, by name. They are few and short, and read by one who will spend minutes on them."""
    # Asked of the package's loader rather than of a path, so a package in a zip file has its guides too.
    found = [one for one in files("entropic").joinpath("docs").iterdir() if one.name.endswith(".md")]
    texts = {one.name.removesuffix(".md"): one.read_text("utf-8") for one in found}
    return {name: texts[name] for name in [*_FIRST, *sorted(texts.keys() - set(_FIRST))]}


def _spelled(topic: str) -> str:
    return re.sub(r"[\s_]+", "-", topic.strip().lower()).removesuffix(".md")


def _section(guides: dict[str, str], heading: str) -> str | None:
    """The section under a heading, with the sections below it."""
    for text in guides.values():
        for level, title, start in _headings(text):
            if _spelled(title) == _spelled(heading):
                later = (place for depth, _, place in _headings(text) if place > start and depth <= level)
                return text[start : next(later, len(text))].rstrip() + "\n"
    return None


def _headings(text: str) -> list[tuple[int, str, int]]:
    """Level, title and place of each heading; a comment in a block of code is none."""
    without_code = re.sub(r"```.*?```", lambda block: " " * len(block[0]), text, flags=re.DOTALL)
    found = re.finditer(r"^(#+) (.+)$", without_code, re.MULTILINE)
    return [(len(one[1]), one[2].replace("`", ""), one.start()) for one in found]


def _not_found(guides: dict[str, str], topic: str) -> str:
    titles = {_spelled(title): title for text in guides.values() for _, title, _ in _headings(text)}
    known = {**titles, **{name: name for name in guides}}
    near = get_close_matches(_spelled(topic), known, 1)
    question = f" Did you mean {known[near[0]]!r}?" if near else ""
    found = ", ".join(f"{title!r} in {name}" for name, title in _sections_about(guides, topic))
    mentions = f" Sections that mention it: {found}." if found else ""
    return (
        f"Cannot show {topic!r}: there is no guide or section of that name.{question}{mentions} "
        f"The guides: {', '.join(guides)}."
    )


def _sections_about(guides: dict[str, str], topic: str) -> list[tuple[str, str]]:
    """Guide and heading of the sections that have most of the words, those with the words in their heading first."""
    words = {word for word in re.findall(r"\w+", topic.lower()) if len(word) > 2 and word not in _SMALL_WORDS}
    ranked = []
    for name, text in guides.items():
        for title, section in _parts(text):
            counts = [len(re.findall(rf"\b{word}", section.lower())) for word in words]
            in_title = sum(bool(re.search(rf"\b{word}", title.lower())) for word in words)
            found = sum(map(bool, counts))
            ranked.append(((found, in_title, sum(counts)), name, title))
    best = max((rank[0] for rank, _, _ in ranked), default=0)
    ranked = [one for one in ranked if one[0][0] == best > 0]
    ranked.sort(key=lambda one: one[0], reverse=True)
    return [(name, title) for _, name, title in ranked[:_LONGEST_LIST]]


def _parts(text: str) -> list[tuple[str, str]]:
    """Heading and text of each section, without the sections below it."""
    headings = _headings(text)
    ends = [*(start for _, _, start in headings[1:]), len(text)]
    return [(title, text[start:end]) for (_, title, start), end in zip(headings, ends, strict=True)]
