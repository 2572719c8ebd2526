"""Pages for people: their frame, style sheet and scripts.  Layer 3.

`assets` serves the files of `static/`, `frame` is what every page looks like, `answers` is how
a page is sent: its headers, its compression, its 304.  Whatever a page shows is handed to it.
"""
