"""The engines that run artifacts, behind one registry."""
