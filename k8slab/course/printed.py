"""The glossary, the map of hooks and the map of chains as one HTML page for a printer, two sheets of A4.

    python -m k8slab.course.printed > print.html
"""

from __future__ import annotations

import sys

from k8slab.course.glossary import glossary
from k8slab.lab import kube_proxy_rules
from k8slab.show.chainmap import chain_map
from k8slab.show.hookmap import hook_map

# Pictures follow the colour scheme of the page, and paper is light.
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light"><title>k8slab: maps and glossary</title>
<style>
@page {{ size: A4; margin: 14mm }}
:root {{ color-scheme: light }}
body {{ max-width: 182mm; margin: 8mm auto; color: #212121; font: 10pt/1.4 system-ui, sans-serif }}
h1 {{ font-size: 15pt; margin: 0 0 2mm }}
h1:last-of-type {{ break-before: page }}
svg {{ width: 100%; height: auto }}
table {{ width: 100%; border-collapse: collapse; font-size: 9pt; line-height: 1.3 }}
caption {{ display: none }}
th, td {{ padding: 0.8mm 2mm !important; border-bottom: 1px solid #ccc }}
tr {{ break-inside: avoid }}
</style></head><body><main>
<h1>Where the kernel asks kube-proxy’s rules</h1>
<p>Read from the rules that kube-proxy 1.36.2 wrote on a node.</p>
{hooks}
<h1>The chains of the Service kubernetes</h1>
<p>From left to right, as the first packet of a connection to 10.96.0.1:443 meets them.</p>
{chains}
<h1>Glossary</h1>
{glossary}
</main></body></html>
"""


def page() -> str:
    """The page as HTML that needs nothing beside it.

    >>> page().count("<h1>")
    3
    """
    rules = kube_proxy_rules()
    chains = chain_map(rules, service="default/kubernetes")
    return _PAGE.format(hooks=hook_map(rules).svg, chains=chains.svg, glossary=glossary().html)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    print(page(), end="")
