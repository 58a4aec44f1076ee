"""Fails, and takes all of itself back, where two customers have one name."""

from alembic import op

revision = "5"
down_revision = "4"


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.rename_table("purchase", "sale")
    op.create_unique_constraint("one_of_a_name", "customer", ["name"])


def downgrade() -> None:
    op.drop_constraint("one_of_a_name", "customer")
    op.rename_table("sale", "purchase")
