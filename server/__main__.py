"""`python -m mlops_advisor.server` is the command `mlops-advisor`."""

import sys

from mlops_advisor.server.cli import main

sys.exit(main())
