"""Coverage-guided fuzzing of everything that reads bytes or text of strangers.

`python -m fuzz` runs it; it needs atheris.  The targets themselves need
nothing, and the tests run each over the kept corpus.
"""
