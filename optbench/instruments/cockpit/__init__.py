"""Cockpit's instruments that others of ours do not stand for, one file each.

Source: F. Schneider, F. Dangel, P. Hennig, "Cockpit: A Practical Debugging Tool for the Training of
Deep Neural Networks" (NeurIPS 2021), and the papers that each names.
"""
