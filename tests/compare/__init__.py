"""The same bytes to this gateway, to nginx and to HAProxy: `python -m tests.compare`.

All three do one job, each as well as it can: check the client's certificate,
compare it with the tool that the path names, strip the prefix, say who calls.
The rows are those of `tests.strict`; `judge` says what counts.
"""
