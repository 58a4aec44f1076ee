"""A small Django application of stories, ``python workload.py rows values``, noted as JSON on standard output."""

import datetime as dt
import json
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[3]))
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()

from django.db.models import Count, F, Sum  # noqa: E402  (models only after setup)
from shop.models import Customer, Order  # noqa: E402

from tests.clients.cases import ROUNDS  # noqa: E402

OPENED = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)


def tell(**told: Any) -> None:
    """One line, written at once: there may be others on other threads."""
    sys.stdout.write(json.dumps(told, default=str) + "\n")


def note(what: str, value: Any) -> None:
    tell(note=what, value=value)


def locate(client: str = "main") -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        tell(client=client, pid=cursor.fetchone()[0])


def customer(n: int, **more: Any) -> Customer:
    return Customer.objects.create(name=f"customer {n}", opened=OPENED + dt.timedelta(days=n), **more)


@contextmanager
def refused() -> Iterator[None]:
    """A savepoint around what must fail: its SQLSTATE is noted."""
    try:
        with transaction.atomic():
            yield
            note("refused", "no")
    except DatabaseError as error:
        note("refused", getattr(error.__cause__, "sqlstate", str(error)))


def migrations() -> None:
    """All back, up to the first, some rows, up to the second, back, and up again."""
    call_command("migrate", "shop", "zero", verbosity=0)
    for target in ("0001", "0002", "0001", "0002"):
        call_command("migrate", "shop", target, verbosity=0)
        column, value = (", note", ", 'new'") if target == "0002" else ("", "")
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO shop_customer (name, balance, opened, tags, profile{column})"
                f" SELECT %s || count(*), 0, now(), '{{}}', '{{}}'{value} FROM shop_customer",
                [target + " "],
            )
        for _ in range(ROUNDS):
            locate()
    call_command("migrate", "shop", verbosity=0)
    note("customers", list(Customer.objects.order_by("id").values_list("name", "note", "total")))
    note("tables", sorted(connection.introspection.table_names()))


def tenants() -> None:
    """A schema for each, chosen by the search_path; an advisory lock keeps others from migrating meanwhile."""
    for tenant in ("north", "south"):
        ask(f"CREATE SCHEMA {tenant}")
        ask(f"SET search_path = {tenant}")
        ask("SET lock_timeout = '15s'")
        note("locked", ask("SELECT pg_try_advisory_lock(4711)"))
        for target in ("0001", "0003", "0002", "0003"):
            call_command("migrate", "shop", target, verbosity=0)
            note("held", ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
            note("settings", [ask(f"SHOW {name}") for name in ("search_path", "lock_timeout", "statement_timeout")])
        note("given back", ask("SELECT pg_advisory_unlock(4711)"))
        customer(1, note=tenant)
        for _ in range(ROUNDS):
            locate()
    for tenant in ("north", "south", "public"):
        ask(f"SET search_path = {tenant}")
        note("customers", [tenant, list(Customer.objects.values_list("note", flat=True))])
        note("tables", sorted(connection.introspection.table_names()))
    ask("RESET ALL")


def ask(sql: str) -> Any:
    """The only column of the only row, if there is one."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None


def rows() -> None:
    for n in range(ROUNDS):
        one = customer(n, balance=Decimal(n) / 4)
        Order.objects.bulk_create([Order(customer=one, item=f"item {i}") for i in range(n % 4)])
        Customer.objects.filter(pk=one.pk).update(balance=F("balance") + 1)
        Customer.objects.update_or_create(name=f"customer {n}", defaults={"note": f"again {n}"})
        one.refresh_from_db()
        note("read", [one.name, one.balance, one.note, one.orders.count()])
        if n % 3 == 0:
            one.delete()
        locate()
    counted = Customer.objects.annotate(count=Count("orders")).order_by("name")
    note("left", [[one.name, one.balance, one.count] for one in counted.prefetch_related("orders")])
    note("sums", Customer.objects.aggregate(Sum("balance"), Count("id")))


def values() -> None:
    for n in range(ROUNDS):
        profile = {"deep": [1, 2.5, None, {"ü": "x"}]}
        one = customer(
            n, key=uuid.UUID(int=n), tags=["a", 'with "quotes"', "%s ünï"], profile=profile, photo=b"\0\xff" * n
        )
        one.refresh_from_db()
        note("told", [one.balance, one.opened, one.key, one.tags, one.profile, bytes(one.photo).hex()])
        note("found", Customer.objects.filter(tags__contains=["a"], profile__deep__0=1, key=uuid.UUID(int=n)).count())
        locate()


def transactions() -> None:
    for n in range(ROUNDS):
        with transaction.atomic():
            customer(n)
            with refused():
                customer(n)
            with transaction.atomic():
                customer(1000 + n)
            note("locked", Customer.objects.select_for_update().get(name=f"customer {n}").name)
        try:
            with transaction.atomic():
                customer(2000 + n)
                customer(n)
        except IntegrityError:
            note("taken back", Customer.objects.filter(name=f"customer {2000 + n}").exists())
        with refused(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / %s", [0])
        locate()
    note("left", list(Customer.objects.order_by("name").values_list("name", flat=True)))


def cursors() -> None:
    """Server-side cursors inside of a transaction."""
    Customer.objects.bulk_create(Customer(name=f"customer {n}", opened=OPENED) for n in range(500))
    for _ in range(ROUNDS):
        with transaction.atomic():
            some = Customer.objects.order_by("id").iterator(chunk_size=70)
            note("first", next(some).name)
            note("others", sum(one.balance + 1 for one in some))
        locate()


def cursors_without_a_transaction() -> None:
    """Here Django declares them WITH HOLD."""
    Customer.objects.bulk_create(Customer(name=f"customer {n}", opened=OPENED) for n in range(500))
    for _ in range(ROUNDS):
        note("all", [one.name for one in Customer.objects.order_by("id").iterator(chunk_size=70)])
        locate()


def threads() -> None:
    """Requests on four threads, each with a persistent connection of its own."""
    customer(0, balance=1000)
    errors: list[BaseException] = []

    def serve(number: int) -> None:
        try:
            for n in range(ROUNDS):
                with transaction.atomic():
                    Customer.objects.filter(name="customer 0").update(balance=F("balance") - 1)
                    customer(100 * number + n)
                locate(f"thread {number}")
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    running = [threading.Thread(target=serve, args=(number,)) for number in range(1, 5)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]
    note("left", Customer.objects.get(name="customer 0").balance)
    note("count", Customer.objects.count())
    for _ in range(ROUNDS):
        locate()


STORIES: dict[str, Callable[[], None]] = {
    story.__name__: story
    for story in (migrations, tenants, rows, values, transactions, cursors, cursors_without_a_transaction, threads)
}


def main() -> None:
    call_command("migrate", verbosity=0)
    for name in sys.argv[1:]:
        note("story", name)
        Customer.objects.all().delete()
        STORIES[name]()


if __name__ == "__main__":
    main()
