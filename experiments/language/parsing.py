"""From the text of a filter to its terms, with errors that point at the word."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime

import re2

from experiments.language.terms import (
    AGGREGATES,
    JOINTS,
    ORDERS,
    PARTS_MOST,
    ROOTS,
    STATUS_WORDS,
    SYMBOLS,
    WORDS,
    Comparison,
    Expression,
    FilterError,
    Junction,
    Negation,
    Subject,
    Value,
    operators_for,
)
from experiments.language.tokens import Token, lenient, tokens_of

DEEPEST = 40
PATTERN_LONGEST = 200
PATTERN_MEMORY_BYTES = 1 << 20
CONSTANTS = {"true": True, "false": False, "none": None, "null": None, "nan": math.nan, "inf": math.inf}
WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
SEGMENT = re.compile(r"""`([^`]*)`|"([^"]*)"|'([^']*)'|([\w/-]+)""")


def is_filter(text: str) -> bool:
    """Whether a text is meant in this language, rather than as words to search for."""
    tokens = list(lenient(text))
    if any(token.kind == "symbol" for token in tokens):
        return True
    words = [token for token in tokens if token.text not in ("(", "not")]
    if not words or words[0].kind != "path":
        return False
    root, dot, _ = words[0].text.partition(".")
    return root in ROOTS and (bool(dot) or (len(words) > 1 and words[1].text in WORDS))


def plain_words(text: str) -> str:
    """What a text that is no filter searches for: itself, without the quotes around it."""
    is_quoted = len(text) > 2 and text[0] == text[-1] == '"' and '"' not in text[1:-1]
    return text[1:-1] if is_quoted else text


def parse(text: str) -> Expression:
    """The expression of a filter. Raises FilterError, which points at the word."""
    parser = Parser(text)
    expression = parser.any_of(0)
    if (rest := parser.now) is not None:
        joint = difflib.get_close_matches(rest.text.lower(), JOINTS[:2], n=1)
        raise FilterError(f"`and` or `or` is missing before {rest.text}.", rest.at, len(rest.text), joint[0] if joint else "")
    return expression


class Parser:
    """One walk over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.index = text, tokens_of(text), 0

    @property
    def now(self) -> Token | None:
        """The token that comes next; None at the end."""
        return self.tokens[self.index] if self.index < len(self.tokens) else None

    def taken(self, *texts: str) -> Token | None:
        """The next token, passed, where it is one of these."""
        token = self.now
        if token is None or token.text.lower() not in texts or token.kind == "string":
            return None
        self.index += 1
        return token

    def needed(self, what: str) -> Token:
        """The next token, passed. Raises FilterError at the end of the text."""
        token = self.now
        if token is None:
            end = len(self.text.rstrip())
            raise FilterError(f"The filter ends where {what} is missing.", end, 0)
        self.index += 1
        return token

    def any_of(self, depth: int) -> Expression:
        """Terms joined by `or`."""
        return self.joined("or", self.all_of, depth)

    def all_of(self, depth: int) -> Expression:
        """Terms joined by `and`."""
        return self.joined("and", self.term, depth)

    def joined(self, word: str, part: Callable[[int], Expression], depth: int) -> Expression:
        """Parts with `word` between them."""
        terms = [part(depth)]
        while self.taken(word):
            terms.append(part(depth))
        return terms[0] if len(terms) == 1 else Junction(word, tuple(terms))

    def term(self, depth: int) -> Expression:
        """A comparison, a negation, or an expression in parentheses."""
        if depth > DEEPEST:
            token = self.tokens[self.index - 1]
            raise FilterError(f"Parentheses and `not` go {DEEPEST} deep at most.", token.at, len(token.text))
        if self.taken("not"):
            return Negation(self.term(depth + 1))
        opening = self.taken("(")
        if opening is None:
            return self.comparison()
        inner = self.any_of(depth + 1)
        if self.taken(")") is None:
            raise FilterError("This parenthesis is not closed.", opening.at, 1)
        return inner

    def comparison(self) -> Comparison:
        """`subject operator value`."""
        subject = subject_of(self.needed("a condition"))
        operator = self.operator(subject)
        values = self.several(subject) if operator == "in" else (self.value(subject),)
        made = Comparison(subject, operator, tuple(value for _, value in values), values[0][0].at)
        for token, value in values:
            check_value(made, token, value)
        return made

    def operator(self, subject: Subject) -> str:
        """An operator that the subject takes."""
        token = self.needed(f"an operator (such as {operators_for(subject)[0]})")
        word = "=" if token.text == "==" else token.text.lower()
        if token.kind == "string" or word not in (*SYMBOLS, *WORDS):
            near = difflib.get_close_matches(word, WORDS, n=1)
            raise FilterError(f"An operator is missing before {token.text}: {' '.join(operators_for(subject))}.", token.at, len(token.text), *near)
        if word not in operators_for(subject):
            raise FilterError(f"{subject.root} takes {' '.join(operators_for(subject))}, not {word}.", token.at, len(token.text))
        return word

    def several(self, subject: Subject) -> tuple[tuple[Token, Value], ...]:
        """`(a, b, …)`."""
        opening = self.needed("a list such as (1, 2)")
        if opening.text != "(":
            raise FilterError("`in` takes a list in parentheses: in (1, 2).", opening.at, len(opening.text))
        values = [self.value(subject)]
        while self.taken(","):
            values.append(self.value(subject))
        if self.taken(")") is None:
            raise FilterError("This list is not closed.", opening.at, 1)
        return tuple(values)

    def value(self, subject: Subject) -> tuple[Token, Value]:
        """A value and its token. A date is one only where moments are compared, else text."""
        token = self.needed("a value")
        if token.kind in ("symbol", "mark"):
            raise FilterError(f"A value is missing before {token.text}.", token.at, len(token.text))
        if token.kind == "path" and token.text.lower() in (*JOINTS, *WORDS):
            raise FilterError(f"A value is missing before {token.text}; as text it stands in quotes.", token.at, len(token.text))
        return token, token.text if token.kind == "date" and subject.root != "created" else value_of(token)


def value_of(token: Token) -> Value:
    """What a token means as a value. Raises FilterError for a date that is none."""
    if token.kind == "number":
        return number_of(token.text)
    if token.kind == "string":
        return re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL)
    if token.kind == "date":
        return moment(token)
    return CONSTANTS.get(token.text.lower(), token.text)


def number_of(text: str) -> float:
    """A number; a whole one that no float holds keeps every digit."""
    rounded = float(text)
    return int(text) if WHOLE.fullmatch(text) and int(text) != rounded else rounded


def moment(token: Token) -> datetime:
    """A date, in UTC where it says no zone."""
    try:
        found = datetime.fromisoformat(token.text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise FilterError(f"{token.text} is no date: write it as 2026-11-24 or 2026-11-24T10:00Z.", token.at, len(token.text)) from error


def subject_of(token: Token) -> Subject:
    """What a token compares. Raises FilterError with the nearest word."""
    first, *rest = token.text.split(".", 1) if token.kind == "path" else [token.text]
    if token.kind != "path" or first not in ROOTS:
        near = difflib.get_close_matches(first.lower(), ROOTS, n=1)
        raise FilterError(
            f"A condition begins with {', '.join(ROOTS)}; not with {token.text}. Words to search for stand in double quotes.", token.at, len(first), *near
        )
    path = tuple(next(filter(None, match.groups()), "") for match in SEGMENT.finditer(rest[0])) if rest else ()
    if first not in ("params", "metrics"):
        if path:
            raise FilterError(f"{first} has no parts: write {first} alone.", token.at, len(token.text), first)
        return Subject(first, (), token.at, len(token.text))
    if len(path) > PARTS_MOST:
        raise FilterError(f"A name has at most {PARTS_MOST} parts between dots; this one has {len(path)}.", token.at, len(token.text))
    if not all(path) or not path:
        raise FilterError(f"A name is missing: {first}.<name>.", token.at, len(token.text))
    if first == "params":
        return Subject(first, path, token.at, len(token.text))
    *name, last = path
    is_aggregate = bool(name) and last in AGGREGATES and not token.text.endswith(("`", '"', "'"))
    return Subject(first, (".".join(name), last) if is_aggregate else (".".join(path), ""), token.at, len(token.text))


def check_value(comparison: Comparison, token: Token, value: Value) -> None:
    """Raise FilterError where the value is not of the kind that subject and operator take."""
    root, operator, length = comparison.subject.root, comparison.operator, len(token.text)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if root in ("metrics", "seed") and not is_number and value is not None:
        raise FilterError(f"{root} are numbers: {token.text} is none.", token.at, length)
    if operator in ORDERS and root != "created" and not is_number:
        raise FilterError(f"{operator} compares numbers: {token.text} is none.", token.at, length)
    if root == "created" and not isinstance(value, datetime):
        raise FilterError(f"created takes a date such as 2026-11-24: {token.text} is none.", token.at, length)
    if root == "status" and value not in STATUS_WORDS:
        near = difflib.get_close_matches(str(value), STATUS_WORDS, n=1)
        raise FilterError(f"A status is {', '.join(STATUS_WORDS)}; not {token.text}.", token.at, length, *near)
    if operator == "~":
        compiled(token.text if not isinstance(value, str) else value, at=token.at, length=length)


def compiled(pattern: str, *, at: int = 0, length: int = 0) -> re2._Regexp:
    """A regular expression that takes time in proportion to the text, whatever it says. Raises FilterError where it is none."""
    if len(pattern) > PATTERN_LONGEST:
        raise FilterError(f"A regular expression has at most {PATTERN_LONGEST} characters.", at, length)
    options = re2.Options()
    options.max_mem, options.log_errors, options.case_sensitive = PATTERN_MEMORY_BYTES, False, False
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else "it holds half a character"
        raise FilterError(f"This is no regular expression ({reason}).", at, length) from error
