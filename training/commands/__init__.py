"""Commands of `python -m training`; `training.cli` has those that train."""
