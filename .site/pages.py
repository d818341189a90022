"""The pages of the site that are made from other files than the guides, and the order of all of them."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
# The guides by what a reader wants. One that is not named here is shown under the last of these headings.
GUIDES = {
    "Learn": ["tutorial"],
    "Do": ["how-to", "sweeps", "checkpoints", "queries", "replicates", "command-line"],
    "Understand": ["keys", "code-changes", "store", "files", "indexes", "performance", "types"],
}
PROJECT = ["contributing"]
MODULES = ["entropic", "entropic.record", "entropic.reports", "entropic.errors", "entropic.index", "entropic.query"]
MODULES += ["entropic.designs", "entropic.testing"]
ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)  # of the list of examples
LANGUAGES = {".py": "python", ".sh": "sh", ".c": "c"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages in their order."""
    found = {path.stem for path in Path(config.docs_dir).glob("*.md")}
    known = {name for names in GUIDES.values() for name in names} | {"errors", *PROJECT}
    guides = {heading: [f"{name}.md" for name in names if name in found] for heading, names in GUIDES.items()}
    guides["Understand"] += sorted(f"{name}.md" for name in found - known)
    api = [{name: f"api/{name}.md"} for name in MODULES]
    reference = ["errors.md", {"Subcommands": "subcommands.md"}, {"Python": api}]
    config.nav = [{"Start": "index.md"}, *({heading: pages} for heading, pages in guides.items())]
    config.nav += [{"Look up": reference}, {"Examples": "examples.md"}]
    config.nav += [{"The project": ["changes.md", *(f"{name}.md" for name in PROJECT)]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and the pictures and the style that they use."""
    for name, text in _made():
        files.append(File.generated(config, name, content=text))
    for path in (ROOT / "examples" / "page.png", Path(__file__).with_name("site.css")):
        files.append(File.generated(config, path.name, abs_src_path=str(path)))
    return files


def _made() -> Iterator[tuple[str, str]]:
    yield "index.md", _readme()
    yield "changes.md", (ROOT / "CHANGELOG.md").read_text("utf-8")
    yield "examples.md", _examples()
    yield "subcommands.md", _subcommands()
    for name in MODULES:
        yield f"api/{name}.md", _module(name)


def _readme() -> str:
    """README, its links going to pages of the site."""
    text = (ROOT / "README.md").read_text("utf-8")
    text = text.replace("](src/entropic/docs/", "](").replace("](examples/README.md", "](examples.md")
    return text.replace("](examples/page.png", "](page.png").replace("`CHANGELOG.md`", "[CHANGELOG](changes.md)")


def _examples() -> str:
    """The list of examples, each with its text below."""
    folder = ROOT / "examples"
    listed = (folder / "README.md").read_text("utf-8")
    names = ROW.findall(listed)
    linked = ROW.sub(lambda row: f"| [`{row[1]}`](#{_anchor(row[1])}) |", listed)
    return "\n\n".join([linked, *(f"## `{name}` {{#{_anchor(name)}}}\n\n{_shown(folder / name)}" for name in names)])


def _anchor(name: str) -> str:
    return re.sub(r"\W", "-", name)


def _shown(path: Path) -> str:
    if path.suffix != ".ipynb":
        return _fenced(path.read_text("utf-8"), LANGUAGES[path.suffix])
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "\n\n".join(_cell(cell["cell_type"], "".join(cell["source"])) for cell in cells)


def _cell(kind: str, text: str) -> str:
    if kind == "code":
        return _fenced(text, "python")
    return re.sub(r"^#", "###", text, flags=re.MULTILINE)  # its headings stand below that of the example


def _fenced(text: str, language: str) -> str:
    return f"````{language}\n{text.rstrip()}\n````"


def _subcommands() -> str:
    """What ``--help`` of each subcommand prints."""
    from entropic._cli import entropic as group

    context = click.Context(group, info_name="entropic", max_content_width=80, terminal_width=80)
    parts = ["# Subcommands", "What `entropic --help` and the help of each subcommand print."]
    parts.append(_fenced(group.get_help(context), "text"))
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        own = click.Context(command, info_name=name, parent=context, max_content_width=80, terminal_width=80)
        parts += [f"## entropic {name}", _fenced(command.get_help(own), "text")]
    return "\n\n".join(parts)


def _module(name: str) -> str:
    """The public names of a module, from their docstrings."""
    members: list[Any] = [one for one in importlib.import_module(name).__all__ if not one.startswith("__")]
    if name == "entropic":
        members.remove("errors")  # a module of its own, and page
    lines = [f"# {name}", f"::: {name}", "    options:", "      show_root_heading: false", "      members:"]
    return "\n".join([lines[0], "", *lines[1:], *(f"        - {member}" for member in members)]) + "\n"
