"""The language that filters experiments: `params.lr < 1e-3 and metrics.accuracy.max > 0.9 and tags has "final"`. Pure text to typed terms.

terms      not, and, or, parentheses; `not` binds closest, then `and`
subjects   params.lr, params.optimizer.name, metrics.accuracy.max (last, min, max, avg; without one the metric's own aggregation), tags, status,
           name, notes, host, group, seed, created; a name with other characters than letters, digits, _, - and / stands in backticks or quotes
operators  = != < <= > >=   ~ (a regular expression)   contains   has   in (a, b)
values     numbers, "text", true, false, none, dates (2026-11-24, 2026-11-24T10:00Z); one word needs no quotes
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import re2

from config.errors import Fault, Invalid

LONGEST = 2000
DEEPEST = 40
PATTERN_LONGEST = 200
PATTERN_MEMORY_BYTES = 1 << 20
AGGREGATES = ("last", "min", "max", "avg")
TEXT_FIELDS = ("name", "notes", "host", "group", "status")
FIELDS = (*TEXT_FIELDS, "seed", "created", "tags")
ROOTS = ("params", "metrics", *FIELDS)
STATUS_WORDS = ("planned", "running", "complete", "failed", "diverged", "crashed", "interrupted", "stalled")
SYMBOLS = ("=", "!=", "<", "<=", ">", ">=", "~")
WORDS = ("has", "contains", "in")
ORDERS = ("<", "<=", ">", ">=")
JOINTS = ("and", "or", "not")
CONSTANTS = {"true": True, "false": False, "none": None, "null": None, "nan": math.nan, "inf": math.inf}
TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<date>\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?)?(?!\w))
    |(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<path>[^\W\d][\w/-]*(?:\.(?:[\w/-]+|`[^`]*`|"[^"]*"|'[^']*'))*)
    |(?P<symbol><=|>=|!=|==|=|<|>|~)
    |(?P<mark>[(),])""",
    re.VERBOSE,
)
SEGMENT = re.compile(r"""`([^`]*)`|"([^"]*)"|'([^']*)'|([\w/-]+)""")
Value = float | str | bool | datetime | None


class FilterError(Invalid):
    """A filter that is not understood. `position` and `length` say where in the text; `suggestion` may stand there instead."""

    def __init__(self, message: str, position: int, length: int, suggestion: str = "") -> None:
        self.position, self.length, self.suggestion = position, length, suggestion
        meant = f" Did you mean {suggestion}?" if suggestion else ""
        fault = Fault(None, "where", "filter", message + meant, position=position, length=length, suggestion=suggestion or None)
        super().__init__(f"{message}{meant} (at character {position + 1})", [fault])
        self.message = message


@dataclass(frozen=True)
class Token:
    """A piece of the text and where it begins."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True)
class Subject:
    """What is compared: `root` is one of ROOTS; `path` the segments of a param's name, or a metric's name and its aggregate (perhaps "")."""

    root: str
    path: tuple[str, ...]
    at: int
    length: int

    @property
    def metric(self) -> str:
        """The name of the metric."""
        return self.path[0]

    @property
    def how(self) -> str:
        """The aggregate of the metric, "" for its own aggregation."""
        return self.path[1]


@dataclass(frozen=True)
class Comparison:
    """One condition. `values` has one entry, or for `in` any number."""

    subject: Subject
    operator: str
    values: tuple[Value, ...]
    at: int

    @property
    def value(self) -> Value:
        """The one value."""
        return self.values[0]


@dataclass(frozen=True)
class Negation:
    """What does not fit `term`."""

    term: Expression


@dataclass(frozen=True)
class Junction:
    """All of the terms (`and`) or any of them (`or`)."""

    word: str
    terms: tuple[Expression, ...]


Expression = Comparison | Negation | Junction


@dataclass(frozen=True)
class Known:
    """The names that a project has, for checks, suggestions and completion."""

    params: Collection[str] = ()
    metrics: Collection[str] = ()
    tags: Collection[str] = ()


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


def lenient(text: str) -> Iterator[Token]:
    """The tokens of any text, spaces and what is no token left out."""
    for match in TOKEN.finditer(text[:LONGEST]):
        if match.lastgroup != "space":
            yield Token(str(match.lastgroup), match.group(), match.start())


def tokens_of(text: str) -> list[Token]:
    """The tokens of a filter. Raises FilterError at what is none."""
    if len(text) > LONGEST:
        raise FilterError(f"A filter has at most {LONGEST:,} characters; this one has {len(text):,}.", LONGEST, len(text) - LONGEST)
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise unreadable(text, at)
        if match.lastgroup != "space":
            found.append(Token(str(match.lastgroup), match.group(), at))
        at = match.end()
    return found


def unreadable(text: str, at: int) -> FilterError:
    """The error for a character that begins nothing."""
    if text[at] in "\"'":
        return FilterError("This quote is not closed.", at, len(text) - at)
    if text[at] == "`":
        return FilterError("Backticks hold a name behind a dot: metrics.`train/loss`.min.", at, 1)
    if text[at] == ".":
        return FilterError("A name is missing behind this dot.", at, 1)
    length = len(re.match(r"[\w.+-]*", text[at:]).group()) or 1  # type: ignore[union-attr]  # it matches nothing too
    return FilterError(f"{text[at : at + length]} is not understood here: text stands in quotes.", at, length)


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
        return float(token.text)
    if token.kind == "string":
        return re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL)
    if token.kind == "date":
        return moment(token)
    return CONSTANTS.get(token.text.lower(), token.text)


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
    if not all(path) or not path:
        raise FilterError(f"A name is missing: {first}.<name>.", token.at, len(token.text))
    if first == "params":
        return Subject(first, path, token.at, len(token.text))
    *name, last = path
    is_aggregate = bool(name) and last in AGGREGATES and not token.text.endswith(("`", '"', "'"))
    return Subject(first, (".".join(name), last) if is_aggregate else (".".join(path), ""), token.at, len(token.text))


def operators_for(subject: Subject) -> tuple[str, ...]:
    """The operators that a subject takes, the commonest first."""
    if subject.root == "tags":
        return ("has",)
    if subject.root in ("metrics", "seed"):
        return ("<", "<=", ">", ">=", "=", "!=", "in")
    if subject.root == "created":
        return (">", ">=", "<", "<=")
    if subject.root == "status":
        return ("=", "!=", "in")
    if subject.root in TEXT_FIELDS:
        return ("contains", "=", "!=", "~", "in")
    return ("=", "!=", "<", "<=", ">", ">=", "~", "contains", "has", "in")


def check_value(comparison: Comparison, token: Token, value: Value) -> None:
    """Raise FilterError where the value is not of the kind that subject and operator take."""
    root, operator, length = comparison.subject.root, comparison.operator, len(token.text)
    is_number = isinstance(value, float) and not isinstance(value, bool)
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


def comparisons(expression: Expression) -> Iterator[Comparison]:
    """Every comparison, from left to right."""
    if isinstance(expression, Comparison):
        yield expression
        return
    for term in (expression.term,) if isinstance(expression, Negation) else expression.terms:
        yield from comparisons(term)


def check_names(expression: Expression, known: Known) -> None:
    """Raise FilterError at a param or metric that the project does not have, with the nearest that it has."""
    for comparison in comparisons(expression):
        subject = comparison.subject
        if subject.root == "params" and not is_known_param(subject.path, known.params):
            raise unknown(subject, "param", ".".join(subject.path), known.params)
        if subject.root == "metrics" and subject.metric not in known.metrics:
            raise unknown_metric(subject, known.metrics)


def is_known_param(path: tuple[str, ...], params: Collection[str]) -> bool:
    """Whether some beginning of the path is the name of a param."""
    return any(".".join(path[:n]) in params for n in range(1, len(path) + 1))


def unknown_metric(subject: Subject, metrics: Collection[str]) -> FilterError:
    """The error for a metric that is not there, or for an aggregate that is none."""
    name, _, how = subject.metric.rpartition(".")
    if not subject.how and name in metrics:
        near = difflib.get_close_matches(how, AGGREGATES, n=1, cutoff=0.3)
        suggestion = f"metrics.{spelled(name)}.{near[0]}" if near else ""
        return FilterError(f"{name} has {', '.join(AGGREGATES)}; not {how}.", subject.at, subject.length, suggestion)
    return unknown(subject, "metric", subject.metric, metrics)


def unknown(subject: Subject, noun: str, name: str, names: Collection[str]) -> FilterError:
    """The error for a name that the project does not have."""
    near = nearest(name, names)
    how = f".{subject.how}" if noun == "metric" and subject.how else ""
    suggestion = f"{subject.root}.{spelled(near)}{how}" if near else ""
    return FilterError(f"The project has no {noun} {name}.", subject.at, subject.length, suggestion)


def nearest(name: str, names: Iterable[str]) -> str:
    """The name that looks most like this one; "" where none does."""
    by_lower = {each.lower(): each for each in names}
    near = difflib.get_close_matches(name.lower()[:250], by_lower, n=1)
    return by_lower[near[0]] if near else ""


def spelled(name: str) -> str:
    """A name as it stands in a filter: in backticks where it holds more than a plain name may, in quotes where it holds a backtick."""
    if re.fullmatch(r"[\w/-]+", name) and name not in AGGREGATES:
        return name
    return f"`{name}`" if "`" not in name else f'"{name}"'


def completions(text: str, known: Known, *, most: int = 50) -> list[str]:
    """The whole text, its last word completed in every way that fits there."""
    head, tail = cut(text)
    before = list(lenient(head))
    found = (head + option for option in options(before, known) if tail.lower() in option.lower() and tail != option)
    return [option for _, option in zip(range(most), found, strict=False)]


def cut(text: str) -> tuple[str, str]:
    """The text before its last word, and that word."""
    match = re.search(r"""(?:[\w/.:-]|`[^`]*`?|"[^"]*"?)*$""", text)
    at = match.start() if match else len(text)
    return text[:at], text[at:]


def options(before: list[Token], known: Known) -> list[str]:
    """What may come next behind these tokens."""
    last, subject = before[-1:] and before[-1], before[-2:-1] and before[-2]
    if last and last.text == "has":
        return [f'"{tag}"' for tag in known.tags if '"' not in tag]
    if last and subject and subject.text == "status" and last.kind == "symbol":
        return list(STATUS_WORDS)
    if not last or last.text.lower() in (*JOINTS, "("):
        return subjects(known)
    if last.kind == "path" and last.text.partition(".")[0] in ROOTS and not (subject and subject.kind == "symbol"):
        return list(operators_for(Subject(last.text.partition(".")[0], (), 0, 0)))
    return [] if last.kind == "symbol" else ["and ", "or "]


def subjects(known: Known) -> list[str]:
    """Everything that a condition may begin with."""
    metrics = [f"metrics.{spelled(name)}.{how}" for name in known.metrics for how in AGGREGATES]
    return [*(f"params.{spelled(name)}" for name in known.params), *metrics, *FIELDS, "not "]
