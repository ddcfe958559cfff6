"""Hooks of MkDocs: add pages from outside `docs/`, order the navigation, refuse foreign content.

`mkdocs.yml` names this file. Pages have links to files of the repository, as on a code host. The
hooks turn them into links of the site, or into plain text if the site lacks the target.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = (
    *("models/**/CARD.md", "models/**/CATEGORIES.md", "models/**/RULES.md", "models/**/*.svg"),
    *("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"),
)
"""Files from outside `docs/` that the site shows in its folder `project`."""
ORDER = ("index", "tutorials", "how-to", "reference", "explanation", "project")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)")
LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=[\"']?(?:https?:)?//"
    r"|<link\b(?![^>]*\brel=[\"']?(?:canonical|prev|next)\b)[^>]*\bhref=[\"']?(?:https?:)?//"
    r"|@import\s+(?:url\()?[\"']?(?:https?:)?//"
)


def on_files(files: Files, config: Any) -> Files:
    """Add the files from outside `docs/`."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            name = f"project/{path.relative_to(ROOT).as_posix()}"
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, files: Files, **_: Any) -> str:
    """Turn links to repository files into links of the site, outside of code blocks."""
    here = page.file.src_uri
    at = ROOT / (here.removeprefix("project/") if here.startswith("project/") else f"docs/{here}")

    def replace(link: re.Match[str]) -> str:
        words, target, anchor = link[1], link[2], link[3] or ""
        if not target or ":" in target:
            return link[0]
        way = os.path.relpath(at.parent / target, ROOT)
        for name in (way.removeprefix("docs/"), f"project/{way}"):
            within = sorted(uri for uri in files.src_uris if uri.startswith(f"{name}/"))
            for source in (name, f"{name}/index.md", f"{name}/README.md", *within):
                if files.get_file_from_path(source):
                    return f"[{words}]({os.path.relpath(source, Path(here).parent)}{anchor})"
        if (ROOT / way).exists() and not way.startswith("docs/"):
            return f"{words} (`{way}`)"
        return link[0]

    parts = re.split(r"(^```.*?^```)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else LINK.sub(replace, part) for part in parts)


def on_nav(nav: Any, **_: Any) -> Any:
    """Put the folders into the reading order for newcomers."""

    def place(item: Any) -> int:
        name = (
            item.title.lower().replace(" ", "-")
            if item.is_section
            else Path(item.file.src_uri).stem
        )
        return ORDER.index(name) if name in ORDER else len(ORDER)

    nav.items.sort(key=place)
    return nav


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse a page that loads something from another host."""
    if found := LOADED.search(output):
        raise PluginError(f"{page.file.src_uri} loads something from elsewhere: {found[0]}")
    return output
