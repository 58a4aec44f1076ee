"""Tables, an enum, a reference and a check."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "customer",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("level", sa.Enum("plain", "gold", name="level"), nullable=False, server_default="plain"),
        sa.Column("balance", sa.Numeric(12, 2), sa.CheckConstraint("balance >= 0"), nullable=False, server_default="0"),
    )
    op.create_table(
        "purchase",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("item", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("purchase")
    op.drop_table("customer")
    op.execute("DROP TYPE level")
