"""What the operators are told.  Layer 3."""
