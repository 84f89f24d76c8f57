"""What can be measured of a run at a point of its training, one file each; see base.py."""
