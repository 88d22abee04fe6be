#!/usr/bin/env python
"""The command line of the brokerage."""

import os
import sys


def main() -> None:
    """Run one management command, in development unless the environment says otherwise."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings.development")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
