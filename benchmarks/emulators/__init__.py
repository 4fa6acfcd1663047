"""The engines and bundles on other CPUs, emulated by qemu's user mode.

    cpus        which CPUs, and the command that runs Python on one of them
    arm64       fills the folder of an arm64 Python with the aarch64 wheels: `make emulators`
    on_cpu      what runs on the emulated CPU, and needs tinysight and its engines alone
    images      what is classified
    answers     every artifact on every CPU against this workstation's answers
    records     the result, as JSON holds it
    markdown    the result for people
    saturation  what export predicts of sums in 16 bits against what an emulated CPU answers

Emulation proves answers: the real wheels run, choose the kernels of the CPU that they find, and
compute with them. It says nothing of speed.
"""
