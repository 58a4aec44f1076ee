"""Counts purchases into a temporary table, which the next migration reads, under time-outs of its own."""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute("SET statement_timeout = '1min'")
    op.create_table(
        "counted",
        sa.Column("customer_id", sa.Integer, primary_key=True),
        sa.Column("purchases", sa.Integer, nullable=False),
        prefixes=["TEMPORARY"],
    )
    op.execute("INSERT INTO counted SELECT customer_id, count(*) FROM purchase GROUP BY 1")


def downgrade() -> None:
    op.execute("SET statement_timeout = '1min'")
