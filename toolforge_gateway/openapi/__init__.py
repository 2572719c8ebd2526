"""One OpenAPI document out of those of the backends.

`read` makes JSON or YAML a tree, `merge` is a pure function from `Part`s to a `Merged`.
"""
