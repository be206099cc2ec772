"""Simulated browsers of many users, for as long as you say, while everything fails now and then.

    python -m tests.e2e.sessions.soak --minutes 10 --browsers 200 --store all --world async

Each browser has two users of its own, who log in, in turn.  It sends one to three requests at a
time: reads of the user and of the session, access tokens for two audiences, and for a third
that Auth0 does not grant on a refresh.  Now and then it logs out, or logs in over its session,
or Auth0 or the application ends all sessions of its user.  Access tokens live six seconds,
refresh tokens rotate without leeway, and the second use of one ends its family.

What fails:

- 5 % of the tenant's answers are lost after it has acted; some are late, by up to five seconds.
- 1 % of the store's commands fail, half of them before they take effect.
- Answers reach the browser in random order; some late, by seconds, and some never.
- Calls are abandoned.  In asyncio their task is cancelled.  In the blocking world an exception
  is set in the calling thread (``PyThreadState_SetAsyncExc``), at a random instant, as one from
  a signal handler is.  With Django's cache a command of the store raises it: asgiref, which
  Django's caches use, takes a lock that such an exception may leave locked.

Sessions on a server are served by four clients, each with its own memory, as four processes
have.  Every ten seconds another one takes the place of one of them, with no memory.  A browser
whose session is in cookies has one of the four for itself: nothing tells two processes of each
other there.

What must hold all along:

- A browser sees the user whom it logged in, or nobody; an access token is that user's, and for
  the audience that was asked for.
- No session is alive after its end: a logout, another login over it, an end by Auth0 or by the
  application, its idle or its absolute lifetime.
- No session is lost for another reason than its end, but by ``invalid_grant``.
- The tenant refuses no refresh token without a cause.
- No error but the library's own comes out of a call, and no call takes longer than its timeout.

A refused refresh token has a cause if one of these came before, in its session:

- Auth0 rotated it, and the answer was lost.  Nobody has the token that followed.
- A logout began: it revokes the token.
- A refresh was interrupted in a blocking thread, which nobody else can finish.
- A call that got tokens ended with an error that says so (``tokens_issued``), or the store
  failed twice or more within it: the tokens are in the memory of that client alone, for a minute.
- In cookies only: the answer with the new cookies was lost or abandoned, and the browser came
  back after more than the minute for which the client remembers a refresh; or it arrived after
  a newer one, whose cookies it replaced.

A session in cookies may also be hidden by the late answer to a request of the session before it:
the browser then has the older cookies, which open nothing, as that session has ended.
"""
