"""A column, and data that fills it: both kinds of migration in one transaction."""

from typing import Any

from django.db import migrations, models


def write_notes(apps: Any, _schema_editor: Any) -> None:
    for customer in apps.get_model("shop", "Customer").objects.order_by("id"):
        customer.note = f"was {customer.name}"
        customer.save()


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField("Customer", "note", models.TextField(default="")),
        migrations.RunPython(write_notes, migrations.RunPython.noop),
        migrations.RunSQL("CREATE INDEX CONCURRENTLY by_note ON shop_customer (note)", "DROP INDEX by_note"),
    ]
    atomic = False
