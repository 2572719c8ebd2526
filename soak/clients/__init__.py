"""What stands before the gateway: the good, the slow, the broken and the hostile."""
