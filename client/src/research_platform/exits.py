"""With which code the process leaves. Python tells nobody, so whoever wants to know listens at each way out."""

from __future__ import annotations

import builtins
import gc
import io
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
    hear_raised(exiting)
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


def hear_raised(exiting: Listener) -> None:
    """Find a `raise SystemExit(1)` that nobody catches: the interpreter flushes the streams once the script has ended, while the error still exists."""
    stream = sys.stderr
    if not isinstance(stream, io.TextIOWrapper):
        return
    flush = stream.flush

    def flushed() -> None:
        flush()
        if not is_called_by_python():
            for error in ownerless_exits():
                exiting(error)

    with suppress(AttributeError):
        stream.flush = flushed  # type: ignore[method-assign]


def ownerless_exits() -> list[SystemExit]:
    """The SystemExits that exist and that no Python object holds: only the interpreter has them in hand."""
    found = [each for each in gc.get_objects() if isinstance(each, SystemExit)]
    return [each for each in found if all(holder is found for holder in gc.get_referrers(each))]
