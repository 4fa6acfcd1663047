"""Model files read before an engine sees them: nothing of an engine, and bounds on everything.

An engine trusts its model file. These modules do not: what they accept is a single graph of known
operators whose tensors and work are bounded, and nothing that is read from elsewhere. `check_model`
of each format raises BundleError for all else, in one line.
"""
