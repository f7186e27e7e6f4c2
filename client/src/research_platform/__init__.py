"""Logs experiments to a Research Platform server.

run = research_platform.init(project="digits", params={"lr": 3e-4}, seed=1)
run.log({"loss": 0.42})
run.finish()
"""

from research_platform.children import nursery
from research_platform.errors import ConfigurationError, Refused, ResearchPlatformError, Unreachable
from research_platform.pace import Pace
from research_platform.run import DisabledRun, Run
from research_platform.starting import init

__all__ = ["ConfigurationError", "DisabledRun", "Pace", "Refused", "ResearchPlatformError", "Run", "Unreachable", "init"]
__version__ = "0.1.0"

nursery.heed()
