"""Run the supervisor as `python -m brokerage.supervisor`."""

import sys

from brokerage.supervisor.cli import main

sys.exit(main(sys.argv[1:]))
