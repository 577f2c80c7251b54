"""Speed of training on this machine, beside other libraries: `bench speed` in a clone, or `python -m benchmarks`.

Not part of the installed package. Nothing measured here has any influence on how results are computed.
"""
