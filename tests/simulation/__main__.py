"""The long simulation, `python -m tests.simulation`, or one seed of it again."""

import sys

from tests.simulation.long_run import main

if __name__ == "__main__":
    sys.exit(main())
