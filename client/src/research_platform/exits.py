"""With which code the process leaves. Python tells nobody, so whoever wants to know listens at each way out."""

from __future__ import annotations

import builtins
import gc
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, NoReturn, Optional

Listener = Callable[[SystemExit], None]
Code = Optional[object]


def exit_code(code: Code) -> int:
    """What a shell sees of a process that left with `SystemExit(code)`."""
    if code is None:
        return 0
    if not isinstance(code, int):  # it is printed, and that is a failure
        return 1
    return code & 0xFF if os.name == "posix" else int(code)


class Exit(SystemExit):
    """What `sys.exit` raises. Its code is read by Python code that catches it, or by the interpreter itself, which then ends."""

    listener: ClassVar[Listener]

    @property
    def code(self) -> Any:  # Any: whatever was given to sys.exit
        """The code it was made with."""
        if not is_called_by_python():
            Exit.listener(self)
        return super().code

    @code.setter
    def code(self, code: Any) -> None:
        SystemExit.code.__set__(self, code)  # type: ignore[union-attr]  # a descriptor of the class


# Scripts that look at the type's name go on finding the one that they know.
Exit.__name__ = Exit.__qualname__ = "SystemExit"


def is_called_by_python() -> bool:
    """Whether Python code has called the function that asks; the interpreter at its end leaves no frame below."""
    return bool(sys._getframe(1).f_back)


def listen(exiting: Listener, vanishing: Callable[[int], None]) -> None:
    """Have `exiting` called with the SystemExit that ends the interpreter, and `vanishing` with the code before an `os._exit`."""
    Exit.listener = exiting
    replace_exit()
    hear_raised()
    vanish: Callable[[int], NoReturn] = os._exit

    def leave(status: int) -> NoReturn:
        try:
            vanishing(status)
        finally:
            vanish(status)

    os._exit = leave


def replace_exit() -> None:
    """Let every `exit` raise an Exit: that of `sys`, the script's own name for it, and those of the prompt."""
    given = sys.exit

    def leave(status: Any = None, /) -> NoReturn:
        raise Exit(status)

    script = vars(sys.modules["__main__"])
    for name in [name for name, value in script.items() if value is given]:
        script[name] = leave
    sys.exit = leave

    def leave_prompt(_: object, code: Any = None) -> NoReturn:
        raise Exit(code)

    for prompt in {type(getattr(builtins, name, None)) for name in ("exit", "quit")}:
        if prompt.__module__ == "_sitebuiltins":
            prompt.__call__ = leave_prompt  # type: ignore[method-assign]


def hear_raised() -> None:
    """Find a `raise SystemExit(1)` that nobody catches: the interpreter flushes the streams once the script has ended, while the error still exists.

    To be called again now and then: scripts put streams of their own in the place of those that there were.
    """
    for stream in (sys.stderr, sys.stdout):
        if stream is not None and not hasattr(getattr(stream, "flush", None), "hears"):
            with suppress(AttributeError, TypeError):  # an object without room for it
                stream.flush = hearing(stream.flush)  # type: ignore[method-assign]


def hearing(flush: Callable[[], None]) -> Callable[[], None]:
    """A stream's `flush` that looks for such an error where the interpreter itself calls it. It flushes as before, and fails as before."""

    def flushed() -> None:
        try:
            flush()
        finally:
            if not is_called_by_python():
                for error in exits_in_hand():
                    Exit.listener(error)

    flushed.hears = True  # type: ignore[attr-defined]  # for whoever looks whether it is there
    return flushed


def exits_in_hand() -> list[SystemExit]:
    """The SystemExits that somebody holds whom Python does not see: only the interpreter has them in hand. A script may hold them, too."""
    usual = SystemExit()
    found = [usual, *(each for each in gc.get_objects() if issubclass(type(each), SystemExit) and each is not usual)]
    unseen = [unseen_holders(each) for each in found]
    return [each for each, holders in zip(found, unseen) if holders > unseen[0]]


def unseen_holders(error: SystemExit) -> int:
    """How many references to `error` belong to no Python object; some more, and the same number for each that is asked about."""
    seen = sum(max(1, times(holder, error)) for holder in gc.get_referrers(error))
    return sys.getrefcount(error) - seen


def times(holder: object, error: SystemExit) -> int:
    """How often a container holds `error`; 0 where nobody can look into it."""
    values = holder.values() if isinstance(holder, dict) else holder if isinstance(holder, (list, tuple)) else ()
    return sum(1 for each in values if each is error)
