"""`python -m soak`; `./run soak` makes the environment for it first."""

import sys

from soak.command import main

sys.exit(main(sys.argv[1:]))
