"""`quell demo`: one incident from alert to postmortem on this machine, with nothing pretended.

A supervised model server on a "host" behind real SSH dies, and quell brings it back.
"""
