import importlib.util
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_docs_page_is_what_the_table_says():
    spec = importlib.util.spec_from_file_location("turn_table", ROOT / "scripts/turn_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs/turns.md").read_text(encoding="utf-8")
    assert written == module.page(), "run: python scripts/turn_table.py"
