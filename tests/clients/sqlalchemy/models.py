"""The shop as an application of SQLAlchemy's has it, with a column of each type that it treats in its own way."""

import datetime as dt
import enum
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Level(enum.Enum):
    PLAIN = "plain"
    GOLD = "gold"


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    level: Mapped[Level] = mapped_column(default=Level.PLAIN)
    balance: Mapped[Decimal] = mapped_column(sa.Numeric(12, 2), default=Decimal(0))
    opened: Mapped[dt.datetime] = mapped_column(sa.DateTime(timezone=True))
    key: Mapped[Any] = mapped_column(UUID(as_uuid=True), nullable=True)
    tags: Mapped[list[str]] = mapped_column(ARRAY(sa.Text), default=list)
    profile: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    photo: Mapped[bytes | None] = mapped_column(sa.LargeBinary, default=None)
    orders: Mapped[list["Order"]] = relationship(back_populates="customer", cascade="all, delete-orphan")

    def told(self) -> tuple[Any, ...]:
        """All of it, as a story notes it."""
        return (self.name, self.level.value, self.balance, self.opened.isoformat(), str(self.key), self.tags,
                self.profile, self.photo, [order.item for order in self.orders])  # fmt: skip


class Order(Base):
    __tablename__ = "customer_order"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"))
    item: Mapped[str]
    customer: Mapped[Customer] = relationship(back_populates="orders")
