"""A store: a folder with versions of a bundle, one of which is current.

    current.json        which one, and which was before it: replaced in one step
    versions/<id>/      a bundle each, never changed once it is there

Whoever reads current.json finds the old version or the new one, whole, whatever happens to the
power in between. `tinysight.updates` fills a store, `tinysight.store.watch` follows it.
"""
