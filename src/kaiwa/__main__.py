"""`python -m kaiwa` is the `kaiwa` command."""

from kaiwa.cli import main

main()
