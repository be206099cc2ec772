"""Conversations: generators that yield effects, compose pure functions and compute nothing.

``yield from`` marks every place where the outside world is touched, so a flow reads from top
to bottom as its conversation does.  Each step takes the ``Call`` it is part of.

An error of ours is raised where it is known and passes the flows as it is: the clients cut
its traceback.  A flow that replaces one error by another raises the new one outside the
handler, so that it has no context to print.
"""
