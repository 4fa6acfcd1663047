"""Settings of all training tests."""

from hypothesis import settings

# No deadline: how long an example takes says more of the machine than of the code.
settings.register_profile("tinysight", deadline=None)
settings.load_profile("tinysight")
