"""Who may read and deploy: tokens, what they allow, and the audit of what was refused.

`scope` and `grants` say what a client may do, `issuing` makes tokens, `gate` admits clients by them, and
`development` is the rule for going without.
"""
