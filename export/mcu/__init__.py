"""Firmware for microcontrollers: a bundle as a TensorFlow Lite Micro model in C."""
