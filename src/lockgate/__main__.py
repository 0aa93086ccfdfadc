"""`python -m lockgate`: the command line, from the sources without an installation."""

from lockgate.cli import main

main()
