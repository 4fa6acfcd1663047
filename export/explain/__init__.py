"""Why an artifact takes the time that it takes, layer by layer: `python -m export explain`.

work.py       what each layer computes: multiply-accumulates, shapes
kernels.py    what onnxruntime makes of the graph, and the time of each of its kernels
peak.py       what this core can do at best
rows.py       float32 and int8 side by side
findings.py   what follows: where the time goes, why, and what helps
measure.py    all of it for one bundle, and its JSON
page.py       the same for the terminal
cli.py        the command line
"""
