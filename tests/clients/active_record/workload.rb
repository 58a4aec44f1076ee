# Rails' migrations: Active Record takes an advisory lock, sets what its sessions need, and keeps what has been done in
# schema_migrations.  One story a run.

require "json"
require "active_record"

# How often a story asks which backend it is on; cases.py says why.
ROUNDS = 24
TENANTS = %w[north south].freeze

$stdout.sync = true
ActiveRecord::Migration.verbose = false

def note(what, value) = puts(JSON.generate(note: what, value: value))

# A pool of one connection, of a tenant's own or with what the database has.
def open_connection(tenant = nil, **more)
  settings = { adapter: "postgresql", database: ENV.fetch("PGDATABASE"), pool: 2, **more }
  settings[:schema_search_path] = tenant if tenant
  ActiveRecord::Base.establish_connection(settings)
  ActiveRecord::Base.connection
end

def value(sql) = ActiveRecord::Base.connection.select_value(sql)

def locate(name) = ROUNDS.times { puts(JSON.generate(client: name, pid: value("SELECT pg_backend_pid()"))) }

# Active Record holds its lock on another connection than the one that migrates, which is asked here.
def advisory_locks = value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")

class CreateShop < ActiveRecord::Migration[6.1]
  def change
    create_table :customers do |t|
      t.string :name, null: false
      t.decimal :balance, precision: 12, scale: 2, default: 0
      t.jsonb :profile, default: {}
      t.timestamps
    end
    create_table(:orders) { |t| t.references :customer, foreign_key: true }
    reversible { |way| way.up { note("locks inside", advisory_locks) } }
  end
end

# Under time-outs of its own, which are set back as tools for safe migrations do, with a temporary table.
class FillShop < ActiveRecord::Migration[6.1]
  def up
    execute("SET lock_timeout TO '10s'")
    execute("SET statement_timeout TO '1h'")
    execute("CREATE TEMPORARY TABLE wanted AS SELECT n, 'customer ' || n AS name FROM generate_series(1, 5) n")
    execute("INSERT INTO customers (name, created_at, updated_at) SELECT name, now(), now() FROM wanted")
    note("timeouts", [value("SHOW lock_timeout"), value("SHOW statement_timeout")])
    execute("DROP TABLE wanted")
    execute("SET lock_timeout TO DEFAULT")
    execute("RESET statement_timeout")
  end

  def down = execute("DELETE FROM customers")
end

class IndexShop < ActiveRecord::Migration[6.1]
  disable_ddl_transaction!

  def change
    add_index :customers, :name, unique: true, algorithm: :concurrently
    reversible { |way| way.up { note("locks without a transaction", advisory_locks) } }
  end
end

class FailInShop < ActiveRecord::Migration[6.1]
  def up
    add_column :customers, :note, :text
    execute("SET client_min_messages TO 'error'")
    execute("INSERT INTO customers (name, created_at, updated_at) VALUES ('customer 1', now(), now())")
  end
end

MIGRATIONS = [CreateShop, FillShop, IndexShop, FailInShop].freeze

def migrator(direction, target, count = MIGRATIONS.size)
  migrations = MIGRATIONS.first(count).each_with_index.map { |kind, index| kind.new(kind.name, index + 1) }
  ActiveRecord::Migrator.new(direction, migrations, ActiveRecord::SchemaMigration, target)
end

def note_all
  connection = ActiveRecord::Base.connection
  note("search_path", value("SHOW search_path"))
  note("client_min_messages", value("SHOW client_min_messages"))
  note("versions", ActiveRecord::SchemaMigration.table_exists? ? ActiveRecord::SchemaMigration.all_versions : nil)
  connection.tables.sort.each do |table|
    note(table, connection.columns(table).map { |column| [column.name, column.sql_type, column.default, column.null] })
    note("indexes", connection.indexes(table).map { |index| [index.name, index.columns, index.unique] })
    note("references", connection.foreign_keys(table).map(&:options))
  end
  return unless connection.table_exists?("customers")

  note("rows", connection.select_rows("SELECT id, name, balance FROM customers ORDER BY 1"))
end

def failing
  yield
  note("failed", "no")
rescue StandardError => e
  note("failed", (e.cause || e).class.name)
end

STORIES = {
  "migrations" => lambda do
    open_connection
    TENANTS.each { |tenant| ActiveRecord::Base.connection.create_schema(tenant) }
    TENANTS.each do |tenant|
      open_connection(tenant)
      ActiveRecord::SchemaMigration.create_table
      [1, 2, 3].each do |version|
        migrator(:up, version).migrate
        note("locks", advisory_locks)
      end
      note_all
      failing { migrator(:up, 4).migrate }
      note("locks", advisory_locks)
      note_all
      locate(tenant)
    end
    TENANTS.each do |tenant|
      open_connection(tenant)
      note_all
      migrator(:down, 0, 3).migrate
      note_all
      locate("#{tenant}, going back")
    end
  end,

  # While one migrates, another is told that it may not.
  "lock" => lambda do
    open_connection
    ActiveRecord::SchemaMigration.create_table
    connection = ActiveRecord::Base.connection
    holder = PG.connect
    6.times do |n|
      number = 2_053_462_845 * Zlib.crc32(connection.current_database)
      note("taken", holder.exec("SELECT pg_try_advisory_lock(#{number})").getvalue(0, 0))
      failing { migrator(:up, 1).migrate }
      note("seen", advisory_locks)
      note("given back", holder.exec("SELECT pg_advisory_unlock(#{number})").getvalue(0, 0))
      note("seen", advisory_locks)
      migrator(n.even? ? :up : :down, n.even? ? 1 : 0).migrate
    end
    note_all
    locate("one")
  end
}.freeze

ARGV.empty? ? puts(STORIES.keys) : STORIES.fetch(ARGV[0]).call
