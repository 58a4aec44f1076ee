# Ruby's pg: libpq by way of C; statements prepared under names, libpq's pipeline mode, COPY, cancel.  One story a run.

require "digest"
require "json"
require "pg"

CASES = JSON.parse(File.read(File.join(__dir__, "..", "cases.json")))
# How often a story asks which backend it is on; cases.py says why.
ROUNDS = 24
INSERT = "INSERT INTO account (id, owner, balance) VALUES ($1, $2, $3)".freeze

$stdout.sync = true

def note(what, value) = puts(JSON.generate(note: what, value: value))

def locate(connection, name = "one")
  puts(JSON.generate(client: name, pid: connection.exec("SELECT pg_backend_pid()").getvalue(0, 0).to_i))
end

def connect = PG.connect

def open_shop(connection) = CASES["shop"].each { |statement| connection.exec(statement) }

def refused
  yield
  "no error"
rescue PG::Error => e
  e.result&.error_field(PG::PG_DIAG_SQLSTATE) || e.class.name
end

STORIES = {
  "rows" => lambda do
    one, two, three = Array.new(3) { connect }
    open_shop(one)
    one.prepare("insert", INSERT)
    two.prepare("find", "SELECT * FROM account WHERE id = $1")
    three.prepare("find", "UPDATE account SET balance = balance + $1 WHERE id = $2") # the same name, another text
    ROUNDS.times do |n|
      one.exec_prepared("insert", [n, "owner #{n}", n / 4.0])
      note("read", two.exec_prepared("find", [n]).values)
      note("updated", three.exec_prepared("find", [n, n]).cmd_tuples)
      one.exec_params("DELETE FROM account WHERE id = $1", [n - 3]) if (n % 3).zero?
      [one, two, three].each_with_index { |connection, index| locate(connection, "client #{index}") }
    end
    note("left", three.exec("SELECT id, owner, balance FROM account ORDER BY id").values)
  end,

  "statements" => lambda do
    connection = connect
    ROUNDS.times do |n|
      connection.prepare("add", "SELECT $1::int + #{n}")
      note("described", connection.describe_prepared("add").ftype(0))
      note("sum", connection.exec_prepared("add", [1]).values)
      note("twice", refused { connection.prepare("add", "SELECT 1") })
      connection.exec('DEALLOCATE "add"')
      note("gone", refused { connection.exec_prepared("add", [1]) })
      locate(connection)
    end
    connection.prepare("add", "SELECT $1::int")
    connection.exec("DEALLOCATE ALL")
    note("gone", refused { connection.exec_prepared("add", [1]) })
  end,

  "values" => lambda do
    connection = connect
    decode = PG::BasicTypeMapForResults.new(connection)
    CASES["values"].each do |type, literal|
      [nil, decode].each do |map|
        result = connection.exec_params("SELECT $1::text::#{type}", [literal])
        result.type_map = map if map
        note(type, result.getvalue(0, 0).inspect)
      end
      binary = connection.exec_params("SELECT $1::text::#{type}", [literal], 1)
      note("binary", binary.getvalue(0, 0).unpack1("H*"))
      locate(connection)
    end
  end,

  "transactions" => lambda do
    connection = connect
    open_shop(connection)
    connection.prepare("insert", INSERT)
    0.step(3 * ROUNDS - 1, 3) do |n|
      connection.transaction do
        connection.exec_prepared("insert", [n, "kept #{n}", 1])
        connection.exec("SAVEPOINT before")
        note("twice", refused { connection.exec_prepared("insert", [n, "twice", 1]) })
        note("failed", refused { connection.exec("SELECT 1") })
        connection.exec("ROLLBACK TO SAVEPOINT before")
        connection.exec_prepared("insert", [n + 1, "kept, too #{n}", 1])
      end
      begin
        connection.transaction do
          connection.exec_prepared("insert", [n + 2, "taken back", 1])
          raise "no"
        end
      rescue RuntimeError
        note("taken back", connection.transaction_status)
      end
      locate(connection)
    end
    note("left", connection.exec("SELECT id, owner FROM account ORDER BY id").values)
  end,

  "pipeline" => lambda do
    connection = connect
    open_shop(connection)
    connection.prepare("insert", INSERT)
    0.step(20 * ROUNDS - 1, 20) do |start|
      connection.enter_pipeline_mode
      20.times { |i| connection.send_query_prepared("insert", [i == 12 ? start : start + i, "owner #{start + i}", i]) }
      connection.pipeline_sync
      connection.send_query_params("SELECT count(*) FROM account WHERE id >= $1", [start])
      connection.pipeline_sync
      note("answers", answers(connection, 2))
      connection.exit_pipeline_mode
      locate(connection)
    end
    note("left", connection.exec("SELECT count(*), sum(balance) FROM account").values)
  end,

  "errors" => lambda do
    connection = connect
    wrong = ["SELECT 1 / $1::int", "SELEKT $1", "SELECT * FROM nowhere WHERE id = $1::int"]
    ROUNDS.times do |n|
      wrong.each { |sql| note(sql, refused { connection.exec_params(sql, [0]) }) }
      note("usable", connection.exec_params("SELECT $1::int", [n]).values)
      locate(connection)
    end
  end,

  "copies" => lambda do
    connection = connect
    open_shop(connection)
    ROUNDS.times do |n|
      connection.copy_data("COPY account (id, owner, balance) FROM STDIN") do
        50.times { |i| connection.put_copy_data("#{50 * n + i}\townér #{i} of #{n}\t#{i}\n") }
      end
      out = +""
      connection.copy_data("COPY (SELECT * FROM account ORDER BY id) TO STDOUT") do
        while (row = connection.get_copy_data)
          out << row
        end
      end
      note("out", Digest::SHA256.hexdigest(out))
      wrong = -> { connection.copy_data("COPY account FROM STDIN") { connection.put_copy_data("no number\n") } }
      note("wrong", refused(&wrong))
      locate(connection)
    end
  end,

  "rows_one_by_one" => lambda do
    connection = connect
    ROUNDS.times do |n|
      connection.send_query_params("SELECT i FROM generate_series(1, $1::int) i", [350 + n])
      connection.set_single_row_mode
      note("sum", connection.get_result.stream_each.sum { |row| row["i"].to_i })
      connection.get_last_result
      locate(connection)
    end
  end,

  "large" => lambda do
    connection = connect
    open_shop(connection)
    3.times do |n|
      body = "ü#{n}" * 700_000
      scan = { value: [n, 0, 255].pack("C*") * 700_000, format: 1 }
      connection.exec_params("INSERT INTO document VALUES ($1, $2, $3::bytea)", [n, body, scan])
      row = connection.exec_params("SELECT body, scan FROM document WHERE id = $1", [n], 1)
      note("text", Digest::SHA256.hexdigest(row.getvalue(0, 0)))
      note("bytes", Digest::SHA256.hexdigest(row.getvalue(0, 1)))
    end
    ROUNDS.times { locate(connection) }
  end,

  "cancel" => lambda do
    connection, other = connect, connect
    3.times do |n|
      connection.send_query("SELECT pg_sleep(600)")
      asleep = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'"
      nil until other.exec(asleep).ntuples.positive?
      connection.cancel
      note("cancelled", refused { connection.get_last_result })
      note("usable", connection.exec_params("SELECT $1::int", [n]).values)
    end
    ROUNDS.times { locate(connection) }
  end
}.freeze

# What came up to that many Syncs: status and SQLSTATE.
def answers(connection, syncs)
  told = []
  while syncs.positive?
    result = connection.get_result or next
    told << [result.result_status, result.error_field(PG::PG_DIAG_SQLSTATE), result.cmd_tuples]
    syncs -= 1 if result.result_status == PG::PGRES_PIPELINE_SYNC
  end
  told
end

ARGV.empty? ? puts(STORIES.keys) : STORIES.fetch(ARGV[0]).call
