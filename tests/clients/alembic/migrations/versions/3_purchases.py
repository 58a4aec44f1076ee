"""A column filled from the temporary table of the migration before, which ends here."""

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"


def upgrade() -> None:
    op.add_column("customer", sa.Column("purchases", sa.Integer, nullable=False, server_default="0"))
    op.execute("UPDATE customer SET purchases = counted.purchases FROM counted WHERE id = customer_id")
    op.execute("DROP TABLE pg_temp.counted")
    op.execute("RESET statement_timeout")


def downgrade() -> None:
    op.drop_column("customer", "purchases")
    op.execute("RESET statement_timeout")
