"""One deployment from its claim to its end.

`forward` is the way forward, `backward` the way back, `recovery` what is done for a deployment whose process
is gone. They share an `execution`: the context it works with, and the `recorder` that follows it.
"""
