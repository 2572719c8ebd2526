"""What tests of this project, and of its plug-ins, are made with.

Nothing of the running gateway imports this package, except its demo.
"""
