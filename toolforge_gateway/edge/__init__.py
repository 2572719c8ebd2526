"""The side that clients see.

`listening` builds what a listener needs, `connection` reads requests and
`answer` writes answers, `gatekeeper` decides, `tree` holds the Resources.
Layer 4.
"""
