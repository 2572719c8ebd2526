"""Where the gateway's microseconds go: its stack, looked at a thousand times a second."""
