"""The first stage, on a workstation: from images to a trained model. `python -m training --help`."""
