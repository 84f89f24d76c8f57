"""What is measured of a claim's runs: a file each, whose `measure(found, **settings)` does it.

`final`, `rate` and `probed` serve many claims, and most claims need no file of their own.
"""
