"""A user model of its own: addresses are unique, and under another name."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Person(AbstractBaseUser):
    """A user of a project."""

    login = models.CharField(max_length=150, unique=True)
    mail = models.EmailField(unique=True)
    first_name = models.CharField(max_length=5)
    is_active = models.BooleanField(default=True)

    objects: ClassVar[BaseUserManager] = BaseUserManager()

    USERNAME_FIELD = "login"
    EMAIL_FIELD = "mail"

    class Meta:
        app_label = "own_users"
