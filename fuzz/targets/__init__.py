"""One module for each grammar.

`check(data)` reads the bytes in every way that ought to come to the same, and
raises AssertionError when it does not: see each module for what must hold.
Any exception that is not the grammar's own comes out as it is.
"""

NAMES = (
    "request_head",
    "response_head",
    "body",
    "target",
    "subject",
    "proxy_header",
    "configuration",
    "rules",
    "connection",
)
