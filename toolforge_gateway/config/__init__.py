"""YAML to typed values; every complaint at once, with file and line.

`load` (in `loader`) is the way in, `values` what comes out.
"""
