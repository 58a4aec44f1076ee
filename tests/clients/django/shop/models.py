"""What the shop keeps."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Customer(models.Model):
    name = models.CharField(max_length=100, unique=True)
    balance = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    opened = models.DateTimeField()
    key = models.UUIDField(null=True)
    tags = ArrayField(models.TextField(), default=list)
    profile = models.JSONField(default=dict)
    photo = models.BinaryField(null=True)
    note = models.TextField(default="")
    total = models.IntegerField(default=0, db_default=0)


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="orders")
    item = models.TextField()
