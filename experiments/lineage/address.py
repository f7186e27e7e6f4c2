"""What the address of a lineage asks for, and the links that change a part of it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import QueryDict

FOLDS_MOST = 60
WORDS = ("metric", "from", "top", "after", "open", "fold", "e", "with")


@dataclass(frozen=True)
class View:
    """What the address asks for. `here` is an experiment's slug; `opens`, `folds`, `top` and `picked` name arms by the slug of any of their runs."""

    metric: str = ""
    here: str = ""
    top: str = ""
    after: int = 0
    opens: tuple[str, ...] = ()
    folds: tuple[str, ...] = ()
    picked: frozenset[str] = frozenset()

    def link(self, **changes: object) -> str:
        """The query string of this view with something changed; what is empty is left out."""
        said = {"metric": self.metric, "from": self.here, "top": self.top, "after": self.after, "open": self.opens, "fold": self.folds} | changes
        said["e"] = sorted(self.picked)
        return "?" + urlencode({name: value for name, value in said.items() if value}, doseq=True)


def view(query: QueryDict) -> View:
    """The view that a query string asks for. What cannot be read there counts as not said; of opened and folded arms the latest FOLDS_MOST count."""
    after = query.get("after", "")
    return View(
        metric=query.get("metric", ""),
        here=query.get("from", "").strip(),
        top=query.get("top", ""),
        after=int(after) if after.isascii() and after.isdigit() and len(after) < 7 else 0,
        opens=tuple(dict.fromkeys(query.getlist("open")))[-FOLDS_MOST:],
        folds=tuple(dict.fromkeys(query.getlist("fold")))[-FOLDS_MOST:],
        picked=frozenset(slug for value in query.getlist("e") for slug in value.split(",") if slug),
    )
