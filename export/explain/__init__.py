"""Why an artifact takes the time that it takes, layer by layer: `python -m export explain`.

layer_cost.py       what each layer computes: multiply-accumulates, shapes
kernels.py          what onnxruntime makes of the graph, and the time of each of its kernels
peak_throughput.py  what this core can do at best
layer_table.py      float32 and int8 side by side
findings.py         what follows: where the time goes, why, and what helps
explain.py          all of it for one bundle
text_report.py      the same for the terminal
json_report.py      the same for programs
"""
