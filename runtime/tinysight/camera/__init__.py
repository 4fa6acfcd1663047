"""Frames of cameras, video files and network streams, and what a classifier says of them.

>>> from tinysight import Classifier
>>> from tinysight.camera import classify_frames, read_frames
>>> for frame, prediction in classify_frames(Classifier.load(), read_frames(0), smoothing=0.8):
...     print(frame.time_s, prediction)  # doctest: +SKIP

Needs OpenCV (`pip install 'tinysight[camera]'`) or, for a Raspberry Pi's own camera, picamera2.
"""

from tinysight.camera.frames import Frame, read_frames
from tinysight.camera.predictions import classify_frames

__all__ = ["Frame", "classify_frames", "read_frames"]
