"""Measuring bundles on this device: timing, processes, results, tuning and selection."""
