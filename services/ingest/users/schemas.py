"""Requests and answers about users."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.ingest.keys import NewKey
from services.ingest.schemas import NAME
from services.ingest.users.domain import User
from services.ingest.users.passwords import LONGEST
from shared.web.scopes import Role


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewUserRequest(_Request):
    """A user to add."""

    name: str = Field(pattern=NAME, description="actor of everything the user does")
    email: str = Field(max_length=254, description="unique among the users of all tenants")
    role: Role


class UserChanges(_Request):
    """Changes of a user; null changes nothing."""

    role: Role | None = None
    disabled: bool | None = None
    revoke_keys: bool = Field(
        False,
        description="with `disabled`: also revoke the keys that "
        "`GET /v1/users/{id}/resources` lists",
    )


class PasswordChange(_Request):
    """A user's new password."""

    current: str = Field(max_length=LONGEST)
    new: str = Field(max_length=LONGEST)


class PasswordSignIn(_Request):
    """Who signs in."""

    email: str = Field(max_length=254)
    password: str = Field(max_length=LONGEST)


class InvitationAnswer(_Request):
    """An invitation, and the password that the invited person chooses."""

    invitation: str = Field(max_length=100)
    password: str | None = Field(
        None, max_length=LONGEST, description="null: nothing changes, and the answer names the user"
    )


class InvitedPerson(BaseModel):
    """The user of an invitation."""

    name: str
    email: str


class UserView(BaseModel):
    """A user without password."""

    id: str
    name: str
    email: str
    role: Role
    created: datetime
    created_by: str | None
    last_used: datetime | None = Field(description="the last sign-in")
    disabled: datetime | None = Field(description="since when the user can't sign in")
    has_password: bool
    has_provider: bool = Field(description="whether the OpenID provider has signed them in before")

    @classmethod
    def of(cls, user: User) -> UserView:
        return cls.model_validate(
            {
                **vars(user),
                "has_password": user.password is not None,
                "has_provider": user.subject is not None,
            }
        )


class InvitedView(UserView):
    """A user with an invitation."""

    invitation: str = Field(
        description="the end of a link: `/#invitation=…` opens the page on which the person "
        "chooses a password. Shown only once"
    )
    expires: datetime = Field(description="of the invitation")

    @classmethod
    def made(cls, user: User, invitation: NewKey) -> InvitedView:
        return cls(
            **UserView.of(user).model_dump(),
            invitation=invitation.secret,
            expires=invitation.key.expires,
        )


class UserPage(BaseModel):
    """The users of the tenant, by name."""

    items: list[UserView]
    next: None = Field(None, description="always null")


class ResourceView(BaseModel):
    """A key, user or webhook that a user created or changed."""

    kind: Literal["key", "user", "webhook"]
    id: str
    name: str = Field(description="of a webhook: its address")


class ResourcePage(BaseModel):
    """What a user created or changed: keys and users, then webhooks, oldest first."""

    items: list[ResourceView]
    next: None = Field(None, description="always null")


class ProviderView(BaseModel):
    """The OpenID provider."""

    name: str
    path: str = Field(description="page that leads to the provider")


class WaysView(BaseModel):
    """The ways to sign in to this installation."""

    key: bool = Field(True, description="always true: see `POST /v1/session`")
    password: bool = Field(description="whether there is a user")
    openid: ProviderView | None
