"""The command line: parses, calls, prints. Standard output carries data, standard error logs."""

from monitor.cli.app import main

__all__ = ["main"]
