"""The benchmark's own tests: its arithmetic, its table and plot, its load clients."""
