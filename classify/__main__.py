"""`python -m classify` is the command `classify`."""

from classify.cli import main

main()
