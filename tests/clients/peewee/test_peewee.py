"""peewee: a small ORM on psycopg2, transactions and savepoints as context managers."""

import datetime as dt
from typing import Any

import peewee
from playhouse.postgres_ext import ArrayField, BinaryJSONField, PostgresqlExtDatabase, ServerSide

from tests.clients.cases import ROUNDS
from tests.kit.story import DATABASE, Both, Side

OPENED = dt.datetime(2024, 2, 29, 12)
#: Where it is differs from side to side.
database = PostgresqlExtDatabase(None)


class Customer(peewee.Model):  # type: ignore[misc,unused-ignore]
    id = peewee.AutoField()
    name = peewee.CharField(unique=True)
    balance = peewee.DecimalField(max_digits=12, decimal_places=2, default=0)
    opened = peewee.DateTimeField(default=OPENED)
    tags = ArrayField(peewee.TextField, default=list)
    profile = BinaryJSONField(default=dict)

    class Meta:
        database = database


def begin(side: Side) -> None:
    database.init(DATABASE, **side.parameters)
    database.connect()
    side.lend(database)
    database.create_tables([Customer])


def locate(side: Side) -> None:
    side.serves("one", database.execute_sql("SELECT pg_backend_pid()").fetchone()[0])


def test_objects_come_and_go(both: Both) -> None:
    for side in both:
        begin(side)
        for n in range(ROUNDS):
            one = Customer.create(
                name=f"customer {n}", balance=n, tags=["a", 'with "quotes"'], profile={"n": [n, None]}
            )
            Customer.update(balance=Customer.balance + 1).where(Customer.id == one.id).execute()
            side.note("read", Customer.select().where(Customer.profile.contains({"n": [n]})).dicts().get())
            if n % 3 == 0:
                one.delete_instance()
            locate(side)
        side.note("left", list(Customer.select(Customer.name, Customer.balance).order_by(Customer.id).tuples()))


def test_savepoints_and_errors(both: Both) -> None:
    for side in both:
        begin(side)
        for n in range(ROUNDS):
            with database.atomic():
                Customer.create(name=f"outer {n}")
                side.note("twice", refusal(name=f"outer {n}"))
                with database.atomic() as savepoint:
                    Customer.create(name=f"inner {n}")
                    savepoint.rollback()
            side.note("twice", refusal(name=f"outer {n}"))
            locate(side)
        side.note("left", [one.name for one in Customer.select().order_by(Customer.name)])


def refusal(**values: Any) -> str:
    try:
        with database.atomic():
            Customer.create(**values)
    except peewee.IntegrityError as error:
        return type(error).__name__
    return "none"


def test_many_rows_through_a_server_side_cursor(both: Both) -> None:
    for side in both:
        begin(side)
        Customer.insert_many([{"name": f"customer {n}"} for n in range(1000)]).execute()
        for _ in range(ROUNDS):
            with database.atomic():
                side.note("sum", sum(one.id for one in ServerSide(Customer.select(), array_size=100)))
            locate(side)
