"""Optimizers of pytorch-optimizer that a trainer can't step as they are, made so that it can.

Each is a subclass of the library's, under its name; `config/zoo.csv` names it as the class.
"""
