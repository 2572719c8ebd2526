"""The load client: small, in C where there is a compiler, and what it was told and says."""
