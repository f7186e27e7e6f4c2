"""A browser in two words, from what it says of itself. Pure."""

from __future__ import annotations

BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"), ("FxiOS", "Firefox"))
CHROMES = (("Chrome", "Chrome"), ("CriOS", "Chrome"), ("Chromium", "Chromium"), ("Safari", "Safari"))
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
UNKNOWN = "A browser"


def device(user_agent: str) -> str:
    """Firefox on Linux; "A browser" for one that says nothing known."""
    browser = first(user_agent, (*BROWSERS, *CHROMES)) or UNKNOWN
    system = first(user_agent, SYSTEMS)
    return f"{browser} on {system}" if system else browser


def first(text: str, known: tuple[tuple[str, str], ...]) -> str:
    """The name of the first word that the text holds, "" where it holds none."""
    return next((name for word, name in known if word in text), "")
