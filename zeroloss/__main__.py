"""`python -m zeroloss`; `./run zeroloss` makes the environment for it first."""

import sys

from zeroloss.command import main

sys.exit(main(sys.argv[1:]))
