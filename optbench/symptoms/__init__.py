"""What looks wrong in a training, by its records alone: one rule a file. No torch.

The same rules run as a run goes on (`runs/live_doctor.py`) and afterwards (`doctor`).
"""
