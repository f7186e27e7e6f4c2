"""A command line without what looks like a secret in it: `--api-key ***`, `db.password=***`, `postgresql://user:***@host`, `https://***@host`.

Rather too much is hidden than too little. Numbers stay behind names that only speak of keys or tokens (`--max-tokens 512`, `--eos_token 2`; not `--token 512`),
switches too, except behind passwords, and so do a few words of the field that only sound alike (`--tokenizer bert`, `keyframes=on`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

HIDDEN = "***"
# A longer word (a whole file, say) is not looked through, and not shown.
WORD_CHARACTERS = 4_000
LEFT_OUT = "…"
ALIKE = re.compile(
    r"tokeni[sz](?:e[drs]?|ers|ing|ations?)?|key(?:frame|point|word|board|stroke|note|stone)s?|(?:mon|don|tur|hoc|joc)key|pin[_.-]memory"
    r"|(?<![a-z])(?:low|high|band|all|one|two|single|multi|first|second|forward|backward)[_.-]?pass(?![a-z])|pass[_.-](?:through|band)",
    re.IGNORECASE,
)
# These tell only as words of their own: compass, spin and sacred are no secrets.
SHORT = r"(?:(?<![A-Za-z])(?:(?:db|sql|user|smtp|mail)?(?:pass|pw)|pin|creds?)|(?-i:(?<=[a-z0-9])(?:Pass|P[Ww]|Pin|Creds?)))(?:(?![A-Za-z])|(?-i:(?=[A-Z])))"
TELLING = re.compile(rf"key|token|passw|passphrase|passcode|pwd|secret|auth(?!or(?!i[sz]))|credential|cookie|{SHORT}", re.IGNORECASE)
# Behind these even a number is secret.
ALWAYS = re.compile(r"passw|passphrase|passcode|pwd|secret|(?:api|access|private)[_.-]?key", re.IGNORECASE)
# Behind these a number is one, unless they say of which kind or how many.
ENDING = re.compile(rf"(?:token|key|credentials?|{SHORT}(?:[_.-]?code)?)$", re.IGNORECASE)
COUNTED = re.compile(
    r"(?<![a-z])(?:n|num|max|min|per|pad|eos|bos|unk|sep|cls|mask|start|end|stop|p?rng|random|seed|sort|group)[_.-]?(?:token|key)$", re.IGNORECASE
)
PLAIN = re.compile(r"[+-]?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})(?:e[+-]?\d{1,3})?|true|false|none|null|yes|no|on|off|", re.IGNORECASE)

NAME = rf"(?<![\w.+~@/$-])[\w.+~@/$-]*(?:key|token|passw|passphrase|passcode|pwd|secret|auth|credential|cookie|{SHORT})[\w.@/$-]*"
WHOLE = re.compile(r"(?P<name>[\w.+~@/$-]+)(?P<sign>=)(?P<value>.*)", re.DOTALL)
OPTION = re.compile(r"--?(?P<name>\w[\w.-]*)")
# What is no value of the option before it.
SWITCH = re.compile(r"--|-[A-Za-z]$")
# Within a longer text: a query, JSON, YAML, a command in quotes.
SAID = re.compile(rf"""(?P<name>{NAME})(?P<sign>["']?\s*[:=]\s*|(?<=\w)\s+)(?P<value>"[^"]*"|'[^']*'|[^\s,;&"'}}\])]+)""", re.IGNORECASE)
HEADER = re.compile(r"(?P<name>\b(?:proxy-)?authorization\b|\b(?:set-)?cookie\b)(?P<sign>[\"']?\s*[:=]\s*)[^\"']+", re.IGNORECASE)
SCHEME = re.compile(r"\b(?P<name>bearer|basic)(?P<sign>\s+)(?P<value>[\w.~+/=-]{8,})", re.IGNORECASE)
# A password may hold a slash; what is a port before one is none.
LOGIN = re.compile(r"(?P<scheme>\b[A-Za-z][\w+.-]*://)(?P<user>[^\s:/@]*):(?:[^\s/]*@|(?!\d{1,5}/)[^\s?#]*@)")
# Whoever names a user to a web server mostly names a token, with nothing behind it or with a word that means nothing.
WEB_USER = re.compile(r"(?P<scheme>\bhttps?://)[^\s:/?#@]+(?::\*\*\*)?@")
# Tokens that say by their beginning what they are: of this product, Hugging Face, OpenAI, GitHub, GitLab, Slack, AWS, and JWTs.
KNOWN = re.compile(
    r"\b(?:rp_|hf_|sk-|gh[opsur]_|github_pat_|glpat-|xox[abprs]-)[\w-]{8,}|\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",
)


def hidden(words: Sequence[str]) -> list[str]:
    """The words of a command line, the first of which is the program."""
    found: list[str] = []
    behind = ""  # the option whose value comes next
    for word in words:
        option = OPTION.fullmatch(word)
        if behind and not SWITCH.match(word):
            is_hidden = is_secret(behind, word)
            found.append(HIDDEN if is_hidden else without_secrets(word))
            # Several of them may follow `--api-keys`.
            behind = behind if is_hidden and behind.lower().endswith("s") and not behind.lower().endswith("pass") else ""
            continue
        behind = option["name"] if option and is_telling(option["name"]) else ""
        found.append(without_secrets(word))
    return found


def without_secrets(word: str) -> str:
    """One word of a command line, or a whole text."""
    if len(word) > WORD_CHARACTERS:
        return LEFT_OUT
    whole = WHOLE.fullmatch(word)
    if whole and is_secret(whole["name"], whole["value"]):
        return f"{whole['name']}={HIDDEN}"
    text = WEB_USER.sub(rf"\g<scheme>{HIDDEN}@", LOGIN.sub(rf"\g<scheme>\g<user>:{HIDDEN}@", word))
    text = SCHEME.sub(rf"\g<name>\g<sign>{HIDDEN}", HEADER.sub(rf"\g<name>\g<sign>{HIDDEN}", text))
    return KNOWN.sub(HIDDEN, SAID.sub(said, text))


def said(match: re.Match[str]) -> str:
    """One `name=value` within a text. A name and a value with nothing but space between them are that only where the name is an option."""
    is_apart = not match["sign"].strip()
    if is_apart and not match["name"].startswith("-"):
        return match[0]
    return f"{match['name']}{match['sign']}{HIDDEN}" if is_secret(match["name"], match["value"].strip("\"'")) else match[0]


def is_secret(name: str, value: str) -> bool:
    """Whether what stands behind such a name is to be hidden."""
    return is_telling(name) and (bool(ALWAYS.search(name)) or not PLAIN.fullmatch(value) or is_number_of_its_own(name, value))


def is_number_of_its_own(name: str, value: str) -> bool:
    """Whether a number, no switch, is the secret itself: `--token 123456`, `pin=99`."""
    return any(c.isdigit() for c in value) and ENDING.search(ALIKE.sub("", name)) is not None and not COUNTED.search(name)


def is_telling(name: str) -> bool:
    """Whether a name speaks of a secret."""
    return TELLING.search(ALIKE.sub("", name)) is not None
