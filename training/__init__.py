"""The first stage, on a workstation: images to a trained model. `python -m training --help`."""
