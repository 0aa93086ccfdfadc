"""`python -m lockgate`, for where the project runs from src without being installed."""

from lockgate.cli import main

main()
