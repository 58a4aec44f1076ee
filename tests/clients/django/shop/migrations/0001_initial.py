import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Customer",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.CharField(max_length=100, unique=True)),
                ("balance", models.DecimalField(max_digits=12, decimal_places=2, default=0)),
                ("opened", models.DateTimeField()),
                ("key", models.UUIDField(null=True)),
                ("tags", django.contrib.postgres.fields.ArrayField(models.TextField(), default=list)),
                ("profile", models.JSONField(default=dict)),
                ("photo", models.BinaryField(null=True)),
            ],
        ),
        migrations.CreateModel(
            "Order",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("customer", models.ForeignKey("shop.Customer", models.CASCADE, related_name="orders")),
                ("item", models.TextField()),
            ],
        ),
    ]
