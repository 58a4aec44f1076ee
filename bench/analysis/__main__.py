"""``tools/under release python -m bench.analysis``: nanoseconds for some usual texts, the best of many short runs."""

from pathlib import Path

from bench.compiled import load
from howdah.sql.effects import Effect

TEXTS = (
    "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
    "SELECT id, name, email FROM users WHERE company_id = $1 AND deleted_at IS NULL ORDER BY created_at LIMIT",
    "INSERT INTO orders (customer_id, product_id, quantity, price) VALUES ($1, $2, $3, $4) RETURNING order_id",
    'SELECT "u"."id", "u"."name" FROM "app_user" "u" INNER JOIN "group" "g" ON ("u"."g" = "g"."id") LIMIT 21',
    "SELECT count(*), max(price), coalesce(sum(quantity), 0) FROM orders WHERE state = 'open' AND day > now()",
    "UPDATE accounts SET balance = balance + 100, note = 'a longer text in quotes, some' WHERE id = 12345678;",
    "SET search_path = tenant_17, public",
    "SELECT set_config('app.tenant_id', $1, false)",
    "BEGIN; UPDATE t SET a = a + 1 WHERE id = 7; COMMIT",
)


def best(text: str) -> tuple[float, str]:
    clock = load(Path(__file__).with_name("clock.pyx"))
    runs = [clock.nanoseconds(text.encode(), 20_000) for _ in range(50)]
    bits = runs[0][1]
    return min(run[0] for run in runs), " ".join(effect.name[7:] for effect in Effect if bits & effect)


for text in TEXTS:
    nanoseconds, effects = best(text)
    print(f"{nanoseconds:7.1f} ns {len(text):4} bytes  {text[:60]:60}  {effects}")
