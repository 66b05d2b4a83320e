"""The command line: parse, call one operation, render. No decisions are taken here.

Each command imports its operation when it runs, so that `--help` and `--version` answer at once: the libraries that
learn and query take seconds to load.
"""
