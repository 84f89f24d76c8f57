"""Whether a training can go well, looked at before it begins: the verb `check`.

A check is one class in one file with the protocol `Check` (`base.py`); `selected.py` names them.
"""
