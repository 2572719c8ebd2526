"""Real clients through the gateway to backends: each program is the real one.

`programs` finds and runs them, `stage` sets up what they talk to.
"""
