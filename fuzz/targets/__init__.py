"""What the fuzzer calls; built in every flavour but release as package `howdah_fuzz`.

One module is one target: `one_input` takes any bytes, calls the parser and claims what must hold whatever they were.
A claim that does not hold aborts, which libFuzzer reports with the input that did it.
"""
