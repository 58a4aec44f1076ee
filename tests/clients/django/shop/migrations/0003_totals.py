"""A column filled by way of a temporary table, under time-outs of the migration's own."""

from django.db import migrations, models

COUNT = """
CREATE TEMPORARY TABLE counted AS SELECT customer_id, count(*) AS orders FROM shop_order GROUP BY 1;
UPDATE shop_customer SET total = orders FROM counted WHERE id = customer_id;
DROP TABLE counted
"""


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_notes")]
    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '10s'", migrations.RunSQL.noop),
        migrations.RunSQL("SET statement_timeout = '1h'", "SET statement_timeout = '2h'"),
        migrations.AddField("Customer", "total", models.IntegerField(default=0, db_default=0)),
        migrations.RunSQL(COUNT, migrations.RunSQL.noop),
    ]
