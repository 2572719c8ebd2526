"""The console script `toolforge-gateway`: what twistd cannot do."""
