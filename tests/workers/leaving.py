"""A worker that ends, and leaves somebody behind who has its log."""

import subprocess

subprocess.Popen(["sh", "-c", 'while [ -e "$STAY" ]; do sleep 0.1; done'], stdin=subprocess.DEVNULL)
