"""The workstation's first stage: from images to a trained model. `python -m training --help`."""
