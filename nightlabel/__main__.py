"""`python -m nightlabel` is `nightlabel`."""

from nightlabel.cli import main

main()
