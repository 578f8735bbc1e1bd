"""The pages: links lead somewhere, the index is whole, and what is named in the code exists."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib

import pytest

from support.servers import ROOT

PAGES = sorted(
    page
    for pattern in ("*.md", "docs/*.md", "keys/*.md", "benchmarks/*.md", "benchmarks/results/*.md")
    for page in ROOT.glob(pattern)
)
ARCHITECTURE = ROOT / "docs" / "architecture.md"

pytestmark = pytest.mark.skipif(
    not ARCHITECTURE.is_file(), reason="the tests run without the documentation"
)

_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[(?:[^][]|\[[^]]*\])*\]\(([^()\s]+)\)")
_ABSOLUTE = re.compile(r"[a-z]+:")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def prose(text):
    """Return a page without its blocks of code."""
    return _FENCE.sub("", text)


def anchors(text):
    """Return what links may name behind ``#``, as GitHub makes it of headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        for heading in _HEADING.findall(prose(text))
    }


def links(text):
    """Return where the relative links and images of a page lead."""
    found = _LINK.findall(_CODE.sub("", prose(text)))
    return [target for target in found if not _ABSOLUTE.match(target)]


def broken_links(page):
    """Return the relative links of a page that lead nowhere."""
    broken = []
    for target in links(page.read_text("utf-8")):
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        if not there.exists() or (anchor and anchor not in anchors(there.read_text("utf-8"))):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page):
    """Each relative link of a page leads to a file that exists, and to a heading of it."""
    assert not broken_links(page)


def test_a_broken_link_is_found(tmp_path):
    """A link to a missing file or heading is broken; one within code, or to the web, is none."""
    page = tmp_path / "page.md"
    page.write_text(
        "# What it `costs`, and why\n[a](#what-it-costs-and-why) [b](#what) [c](no.md)\n"
        "[d](page.md#no) [e](https://example.org/) `[f](no.md)`\n```\n[g](no.md)\n```\n"
        "![h](no.svg) [![i](no.png)](page.md)\n"
    )
    assert broken_links(page) == ["#what", "no.md", "page.md#no", "no.svg"]


def test_the_index_is_whole():
    """docs/index.md links to each page of docs/, and to those at the top."""
    index = ROOT / "docs" / "index.md"
    named = {
        (index.parent / target.partition("#")[0]).resolve()
        for target in links(index.read_text("utf-8"))
    }
    wanted = {page for page in PAGES if page.parent in {ROOT, ROOT / "docs"}} - {index}
    assert not {str(page.relative_to(ROOT)) for page in wanted - named}


def test_files_of_the_architecture_page():
    """Each file and folder that docs/architecture.md names exists."""
    text = prose(ARCHITECTURE.read_text("utf-8"))
    spans = [one for one in re.findall(r"`([\w./-]+(?:\.py|/))`", text) if "NAME" not in one]
    assert len(spans) > 50
    missing = set()
    folder = ""
    for span in spans:
        # "`results/shapes.py` ..., `pretty.py`": a bare name is in the folder named last.
        folder = span.rpartition("/")[0] if "/" in span else folder
        places = (ROOT / "console" / span, ROOT / span, ROOT / "console" / folder / span)
        if not any(place.exists() for place in places):
            missing.add(span)
    assert not missing


def test_layers_of_the_architecture_page():
    """docs/architecture.md has the layers that the import contract has."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layers = next(
        one["layers"] for one in contracts["tool"]["importlinter"]["contracts"] if "layers" in one
    )
    wanted = "\n".join(layers).replace("console.", "")
    assert f"```text\n{wanted}\n```" in ARCHITECTURE.read_text("utf-8")


def thread_names():
    """Return the fixed names of the threads that a console starts, those of the CLI apart."""
    for file in set(ROOT.glob("console/**/*.py")) - set(ROOT.glob("console/cli/*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Thread"):
                for keyword in node.keywords:
                    if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                        yield keyword.value.value


def test_threads_of_the_architecture_page():
    """docs/architecture.md names each thread that is started under a fixed name."""
    names = set(thread_names())
    assert "console-auth" in names
    text = ARCHITECTURE.read_text("utf-8")
    assert not {name for name in names if f"`{name}`" not in text}


def is_there(name):
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_of_modules(page):
    """Each dotted name of ours that a page has is a module, or something in one."""
    names = set(re.findall(r"(?<![\w./-])console(?:\.[A-Za-z_]\w*){2,}", page.read_text("utf-8")))
    assert not {name for name in names if not is_there(name)}
