"""What cannot be done inside of a transaction, between two parts that are."""

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    op.add_column("customer", sa.Column("note", sa.Text))
    with op.get_context().autocommit_block():
        op.execute("ALTER TYPE level ADD VALUE 'silver' BEFORE 'gold'")
        op.create_index("by_note", "customer", ["note"], postgresql_concurrently=True)
    op.execute("UPDATE customer SET note = current_schema(), level = 'silver'")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("by_note", "customer", postgresql_concurrently=True)
    op.drop_column("customer", "note")
