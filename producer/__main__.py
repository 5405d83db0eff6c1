"""`python -m producer PATH…` is `nightlabel enqueue PATH…`."""

import runpy
import sys

if __name__ == "__main__":
    sys.argv[1:1] = ["enqueue"]
    # By name: the command line stands above this package, which imports nothing of it.
    runpy.run_module("nightlabel", run_name="__main__")
