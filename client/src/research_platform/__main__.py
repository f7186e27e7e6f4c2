"""`python -m research_platform` is the same as `research-platform`."""

import sys

from research_platform.cli import main

sys.exit(main())
