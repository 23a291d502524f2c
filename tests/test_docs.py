"""What the docs show runs."""

import ast
import re
from pathlib import Path

from antiphon.testing import run

ROOT = Path(__file__).parent.parent


def blocks(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_testing_page_passes():
    (code,) = blocks("docs/testing.md")
    names = {}
    exec(code, names)
    run(names["test_it_stops_when_interrupted"]())


def test_the_models_page_makes_an_agent():
    (code,) = blocks("docs/models.md")
    names = {}
    exec(code, names)
    assert names["agent"].llm.name == "openai/qwen3-4b"


def test_the_websocket_page_can_be_compiled():
    (code,) = blocks("docs/websocket.md")
    ast.parse(code)


def test_links_between_pages_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
