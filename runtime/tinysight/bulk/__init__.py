"""Many images, on every core or on many machines, by Daft: `tinysight bulk`."""
