"""Hubs of several processes over Redis, in the format of ASP.NET Core's own backplane, so that servers in
both languages can share one hub. Needs Redis 6 or later, and no package.
"""

from kaiwa.hub.redis.backplane import RedisBackplane

__all__ = ["RedisBackplane"]
