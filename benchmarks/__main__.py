"""`python -m benchmarks`; `./run bench` installs what it needs first."""

import sys

from benchmarks.command import main

sys.exit(main(sys.argv[1:]))
