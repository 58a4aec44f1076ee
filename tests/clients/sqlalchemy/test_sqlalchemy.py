"""SQLAlchemy 2's ORM on its four PostgreSQL dialects; on asyncpg the same story runs within `AsyncSession.run_sync`."""

import asyncio
import datetime as dt
import itertools
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, selectinload

from tests.clients.cases import ROUNDS
from tests.clients.sqlalchemy.models import Base, Customer, Level, Order
from tests.kit.story import DATABASE, PASSWORD, USER, Both, Side

Story = Callable[[Side, Session], None]
#: Tells a story on one side.
Teller = Callable[[Side, Story], None]

OPENED = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)


def url(dialect: str, side: Side) -> sa.URL:
    return sa.URL.create(f"postgresql+{dialect}", USER, PASSWORD, side.host, side.port, DATABASE)


def tell_with(dialect: str) -> Teller:
    def told(side: Side, story: Story) -> None:
        engine = sa.create_engine(url(dialect, side))
        try:
            with Session(engine) as session:
                Base.metadata.create_all(session.connection())
                session.commit()
                story(side, session)
        finally:
            engine.dispose()

    return told


def tell_async(side: Side, story: Story) -> None:
    async def told() -> None:
        engine = create_async_engine(url("asyncpg", side))
        try:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            async with AsyncSession(engine) as session:
                await session.run_sync(lambda inner: story(side, inner))
        finally:
            await engine.dispose()

    asyncio.run(told())


#: With the other two what SQLAlchemy sends is much alike.
DIALECTS = [
    "psycopg",
    "asyncpg",
    *(pytest.param(other, marks=pytest.mark.all_clients) for other in ("psycopg2", "pg8000")),
]


@pytest.fixture(params=DIALECTS)
def tell(request: pytest.FixtureRequest) -> Teller:
    return tell_async if request.param == "asyncpg" else tell_with(request.param)


def locate(side: Side, session: Session) -> None:
    side.serves("one", session.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())
    session.commit()


def customer(n: int, **more: Any) -> Customer:
    return Customer(name=f"customer {n}", opened=OPENED + dt.timedelta(days=n), **more)


def sqlstate(error: DBAPIError) -> Any:
    original: Any = error.orig
    fields = original.args[0] if original.args and isinstance(original.args[0], dict) else {}
    return getattr(original, "sqlstate", None) or getattr(original, "pgcode", None) or fields.get("C")


def test_objects_come_and_go(both: Both, tell: Teller) -> None:
    def story(side: Side, session: Session) -> None:
        for n in range(ROUNDS):
            session.add(customer(n, balance=Decimal(n) / 4, orders=[Order(item=f"item {i}") for i in range(n % 4)]))
            session.commit()
            found = session.scalars(sa.select(Customer).where(Customer.name == f"customer {n}")).one()
            found.balance += 1
            found.orders.append(Order(item="one more"))
            session.commit()
            if n % 3 == 0:
                session.delete(found)
                session.commit()
            locate(side, session)
        everybody = sa.select(Customer).options(selectinload(Customer.orders)).order_by(Customer.id)
        side.note("left", [one.told() for one in session.scalars(everybody)])

    for side in both:
        tell(side, story)


def test_values_of_all_types(both: Both, tell: Teller) -> None:
    def story(side: Side, session: Session) -> None:
        for n in range(ROUNDS):
            session.add(
                customer(
                    n,
                    level=Level.GOLD,
                    balance=Decimal("12345.67"),
                    key=uuid.UUID(int=n),
                    tags=["a", 'with "quotes"', "ünï"],
                    profile={"deep": [1, 2.5, None, {"ü": "x"}]},
                    photo=bytes(range(256)),
                )
            )
            session.commit()
            session.expire_all()
            side.note("told", session.scalars(sa.select(Customer).where(Customer.key == uuid.UUID(int=n))).one().told())
            tagged = sa.select(sa.func.count()).where(
                Customer.tags.contains(["a"]), Customer.profile["deep"][0].as_integer() == 1
            )
            side.note("found", session.execute(tagged).scalar_one())
            session.commit()
            locate(side, session)

    for side in both:
        tell(side, story)


def test_savepoints_and_rollbacks(both: Both, tell: Teller) -> None:
    def story(side: Side, session: Session) -> None:
        for n in range(0, 3 * ROUNDS, 3):
            session.add(customer(n))
            session.flush()
            with session.begin_nested() as savepoint:
                session.add(customer(n + 1))
                session.flush()
                savepoint.rollback()
            side.note("twice", refusal(session, customer(n)))
            session.commit()
            session.add(customer(n + 2))
            session.flush()
            session.rollback()
            locate(side, session)
        side.note("left", session.scalars(sa.select(Customer.name).order_by(Customer.name)).all())

    for side in both:
        tell(side, story)


def refusal(session: Session, wrong: Customer) -> Any:
    """Why it is not taken; a savepoint keeps what came before."""
    try:
        with session.begin_nested():
            session.add(wrong)
            session.flush()
    except DBAPIError as error:
        return sqlstate(error)
    return "no error"


def test_many_rows_at_once_and_read_as_a_stream(both: Both, tell: Teller) -> None:
    def story(side: Side, session: Session) -> None:
        rows = [{"name": f"customer {n}", "opened": OPENED, "balance": n} for n in range(300)]
        inserted = session.scalars(sa.insert(Customer).returning(Customer.id, sort_by_parameter_order=True), rows)
        side.note("inserted", list(inserted))
        session.commit()
        for _ in range(ROUNDS):
            streamed = session.scalars(
                sa.select(Customer.balance).order_by(Customer.id).execution_options(yield_per=70)
            )
            side.note("sum", sum(streamed))
            session.commit()
            locate(side, session)

    for side in both:
        tell(side, story)


def test_errors_leave_a_session_usable(both: Both, tell: Teller) -> None:
    def story(side: Side, session: Session) -> None:
        for n in range(ROUNDS):
            try:
                session.execute(sa.text("SELECT 1 / CAST(:zero AS integer)"), {"zero": 0})
            except DBAPIError as error:
                side.note("error", sqlstate(error))
            session.rollback()
            side.note("usable", session.execute(sa.select(sa.literal(n))).scalar_one())
            session.commit()
            locate(side, session)

    for side in both:
        tell(side, story)


def test_many_sessions_at_once_on_asyncpg(both: Both) -> None:
    """SQLAlchemy's pool over howdah's: connections go from task to task."""

    async def story(side: Side) -> None:
        engine = create_async_engine(url("asyncpg", side), pool_size=5, max_overflow=0)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        numbers = itertools.count()

        async def request(number: int) -> None:
            async with AsyncSession(engine) as session, session.begin():
                session.add(customer(number, orders=[Order(item=f"item of {number}")]))
                details = await session.run_sync(lambda inner: inner.connection().info)  # the driver connection's
                name = details.setdefault("name", f"connection {next(numbers)}")
                side.serves(name, await session.scalar(sa.text("SELECT pg_backend_pid()")))

        for start in range(0, 4 * ROUNDS, 10):
            await asyncio.gather(*(request(number) for number in range(start, start + 10)))
        async with AsyncSession(engine) as session:
            names = await session.execute(sa.select(Customer.name, Order.item).join(Order).order_by(Customer.name))
            side.note("all", [tuple(row) for row in names])
        await engine.dispose()

    for side in both:
        asyncio.run(story(side))
