"""Where the system's browser is, and how it is started.

playwright can fetch a browser of its own; we use the system's: nothing is installed behind one's back.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAMS = ("chromium", "google-chrome", "chromium-browser", "google-chrome-stable")


def chromium_path() -> str | None:
    """Return the path of the system's Chromium or Chrome, as `/usr/bin/chromium`, or None without one."""
    return next((path for program in PROGRAMS if (path := shutil.which(program))), None)


@contextmanager
def headless_chromium() -> Iterator["Browser"]:
    """Start the system's Chromium without a window, and close it at the end.

    Chromium's own sandbox cannot run as root nor in most containers: playwright turns it off, and the only
    pages that are opened are our own. Raises FileNotFoundError when there is no Chromium.
    """
    from playwright.sync_api import sync_playwright

    path = chromium_path()
    if path is None:
        raise FileNotFoundError(f"none of {', '.join(PROGRAMS)} is here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True)
        try:
            yield browser
        finally:
            browser.close()
