"""What stands behind the gateway: some do their work, the others do not."""
