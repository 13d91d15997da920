"""One deployment from its claim to its end.

`engine` is the way forward and back, `recovery` what is done for a deployment whose process is gone. They
work at a `site`, with the releases of its `workspace`, and write down what happens through the `recorder`.
"""
