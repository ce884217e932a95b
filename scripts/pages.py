"""Export notebooks as single HTML files, for a learner without Python: steppers alive, no network.

The notebooks run top to bottom, each in a new kernel that loads `k8slab.show.page`: a stepper is then plain
HTML with a few lines of script. nbconvert makes the page, from JupyterLab's own style sheets, less all that
it would fetch: require.js, MathJax, mermaid, the widgets' own script. A page may load nothing at all, which
it also tells the browser (Content-Security-Policy); what would need the network, a formula or a mermaid
diagram in a Markdown cell, is an error here and not a hole in the page.

    python scripts/pages.py [--into FOLDER] [NOTEBOOK ...]

Writes build/pages/NAME.html for each notebook that is named, or for all. Notebooks run in a copy of their
folder: the files that they write are not left behind.
"""

import argparse
import re
import shutil
import sys
import tempfile
from html import escape
from pathlib import Path

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

sys.path.insert(0, str(Path(__file__).parent))

from execute_notebooks import ROOT, run  # noqa: E402

EXTENSION = ("--IPKernelApp.extra_extensions=k8slab.show.page",
             "--IPKernelApp.reraise_ipython_extension_failures=True")

# JupyterLab's dark style is the same list of colours with other values; the script says which one holds, in
# the word by which our own style sheets know it. Paper is light. Without script so is the page. The stepper
# goes without JupyterLab's styles for tables and code: a widget does not have them either. A few
# of JupyterLab's colours are moved to a contrast of 4.5 to 1.
TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js %}
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; font-src data:;
 style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="color-scheme" content="light dark">
<script>{
  const dark = matchMedia('screen and (prefers-color-scheme: dark)')
  const tell = () => { document.documentElement.dataset.jpThemeLight = !dark.matches }
  dark.onchange = tell
  tell()
}</script>
{% endblock %}
{% block notebook_css %}
{{ super() }}
{{ resources.include_css('static/theme-dark.css') | replace(':root', ':root[data-jp-theme-light=false]') }}
<style>
:root { color-scheme: light; --jp-cell-prompt-not-active-font-color: #595959;
  --jp-cell-prompt-not-active-opacity: 1; --jp-mirror-editor-number-color: #070;
  --jp-mirror-editor-comment-color: #306868; --jp-mirror-editor-operator-color: #80c }
:root[data-jp-theme-light=false] { color-scheme: dark; --jp-mirror-editor-comment-color: #6cb0b0;
  --jp-mirror-editor-operator-color: #c77dff }
body.jp-Notebook { margin: 0; padding: 24px max(16px, (100% - 1320px) / 2); overflow: visible }
.jp-RenderedText pre { padding-left: 9px }
.highlight pre, .jp-RenderedText pre { white-space: pre-wrap; overflow-wrap: anywhere; word-break: normal }
@media (max-width: 760px) {
  .jp-InputPrompt, .jp-OutputPrompt { display: none }
  .jp-RenderedText pre { padding-left: 5px }
}
</style>
{% endblock %}
{% block data_html scoped %}
{% if '<div class=k-page>' in output.data['text/html'] %}
<div class="jp-OutputArea-output">{{ output.data['text/html'] }}</div>
{% else %}{{ super() }}{% endif %}
{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block body_header %}<body class="jp-Notebook"><main>{% endblock %}
"""

# nbconvert makes every cell a stop of the Tab key, to scroll what is too wide. Here nothing is too wide.
STOP = re.compile(r'(<div class="jp-(?:Cell-inputWrapper|Rendered|OutputArea-output)[^>]*) tabindex="0"')
TO_PAGE = re.compile(r'(<a href="[^":]+)\.ipynb(?=["#])')
HEADING = re.compile(r"^# +(.+)$", re.MULTILINE)


class Undrawn(IPythonRenderer):
    """Reads Markdown for what nbconvert would leave to a script from the network; raises ValueError there."""

    def block_math(self, body: str) -> str:
        """A formula, however it is written."""
        raise ValueError(f"a page without the network cannot draw the formula {body!r}")

    inline_math = block_math

    def latex_environment(self, name: str, body: str) -> str:
        """A formula between `begin` and `end`."""
        return self.block_math(body)

    def block_mermaidjs(self, code: str) -> str:
        """A mermaid diagram."""
        raise ValueError(f"a page without the network cannot draw the mermaid diagram {code!r}")


def page(path: Path) -> str:
    """Run one notebook and return it as a page of its own.

    Raises nbclient's CellExecutionError when a cell raises, ValueError for what cannot be drawn.
    """
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            MarkdownWithMath(renderer=Undrawn(escape=False)).render(cell.source)
    notebook = run(path, *EXTENSION)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            describe(output)
    return export(notebook)


def describe(output: nbformat.NotebookNode) -> None:
    """Give a picture the text that stands for it, where it has one; nbconvert knows no `alt`."""
    about = output.get("metadata", {}).get("image/png", {})
    if "alt" in about:
        output.data["text/html"] = (
            f'<img alt="{escape(about.alt)}" width="{about.width}" style="max-width: 100%" '
            f'src="data:image/png;base64,{output.data["image/png"]}">')


def export(notebook: nbformat.NotebookNode) -> str:
    """Return a notebook that was run as a page; its title is the notebook's first heading."""
    headings = (HEADING.search(cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    notebook.metadata.title = next((found.group(1) for found in headings if found), "k8slab")
    exporter = HTMLExporter(extra_loaders=[DictLoader({"page.html.j2": TEMPLATE})], embed_images=True,
                            template_file="page.html.j2", exclude_anchor_links=True)
    html, _ = exporter.from_notebook_node(notebook)
    return TO_PAGE.sub(r"\1.html", STOP.sub(r"\1", html))


def main() -> None:
    """Read the command line and write the pages."""
    parser = argparse.ArgumentParser(description="Export notebooks as single HTML files with live steppers.")
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--into", type=Path, metavar="FOLDER", default=ROOT / "build/pages",
                        help="where the pages go (default: build/pages)")
    words = parser.parse_args()
    words.into.mkdir(parents=True, exist_ok=True)
    for path in words.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as place:
            copy = shutil.copytree(path.resolve().parent, Path(place, "notebooks"),
                                   ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
            file = words.into / f"{path.stem}.html"
            file.write_text(page(copy / path.name), encoding="utf-8")
        print(file)


if __name__ == "__main__":
    main()
