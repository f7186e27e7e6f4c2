"""What `init` and the command line raise. Logging raises none of these."""


class ResearchPlatformError(RuntimeError):
    """Anything that keeps a run from starting. The message says what to do."""


class ConfigurationError(ResearchPlatformError):
    """Address, token or mode is missing or cannot be used."""


class Unreachable(ResearchPlatformError):
    """No server answered at the address."""


class Refused(ResearchPlatformError):
    """The server answered, and the answer is no. `status` is the HTTP status."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
