package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

var always = context.Background()

func connect() *pgx.Conn {
	conn, err := pgx.Connect(always, "") // all from the environment
	must(err)
	return conn
}

// alone is a story with one connection.
func alone(story func(*pgx.Conn)) func() {
	return func() {
		conn := connect()
		defer conn.Close(always)
		story(conn)
	}
}

func openShop(conn *pgx.Conn) {
	for _, statement := range cases().Shop {
		do(conn, statement)
	}
}

func do(conn *pgx.Conn, sql string, values ...any) int64 {
	tag, err := conn.Exec(always, sql, values...)
	must(err)
	return tag.RowsAffected()
}

// ask gives all rows as text.
func ask(conn *pgx.Conn, sql string, values ...any) [][]string {
	found, err := tryToAsk(conn, sql, values...)
	must(err)
	return found
}

func tryToAsk(conn *pgx.Conn, sql string, values ...any) ([][]string, error) {
	rows, err := conn.Query(always, sql, values...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := [][]string{}
	for rows.Next() {
		row, err := rows.Values()
		if err != nil {
			return nil, err
		}
		texts := []string{}
		for _, value := range row {
			texts = append(texts, fmt.Sprintf("%T %v", value, value))
		}
		all = append(all, texts)
	}
	return all, rows.Err()
}

func locate(conn *pgx.Conn, name string) {
	var pid int
	must(conn.QueryRow(always, "SELECT pg_backend_pid()").Scan(&pid))
	served(name, pid)
}

func rows(one *pgx.Conn) {
	two, three := connect(), connect()
	defer two.Close(always)
	defer three.Close(always)
	openShop(one)
	for n := 0; n < rounds; n++ {
		note("inserted", do(one, insert, n, fmt.Sprint("owner ", n), n))
		note("read", ask(two, "SELECT id, owner, balance::text FROM account WHERE id = $1", n))
		note("updated", do(three, "UPDATE account SET balance = balance + $1 WHERE id = $2", n, n))
		if n%3 == 0 {
			do(two, "DELETE FROM account WHERE id = $1", n-3)
		}
		locate(one, "one")
		locate(two, "two")
		locate(three, "three")
	}
	note("left", ask(three, "SELECT id, owner, balance::text FROM account ORDER BY id"))
}

func values(conn *pgx.Conn) {
	for _, typed := range cases().Values {
		name, literal := typed[0], typed[1]
		note(name, ask(conn, fmt.Sprintf("SELECT $1::text::%s", name), literal))
		rows, err := conn.Query(always, fmt.Sprintf("SELECT $1::text::%s", name), literal)
		must(err)
		rows.Next()
		value, err := rows.Values()
		must(err)
		rows.Close()
		found, err := tryToAsk(conn, fmt.Sprintf("SELECT ($1::%s)::text", name), value[0])
		note("sent back", fmt.Sprint(found, err))
		locate(conn, "one")
	}
}

func transactions(conn *pgx.Conn) {
	openShop(conn)
	for n := 0; n < 3*rounds; n += 3 {
		outer, err := conn.BeginTx(always, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
		must(err)
		do(conn, insert, n, fmt.Sprint("outer ", n), 1)
		inner, err := outer.Begin(always) // a savepoint
		must(err)
		_, err = inner.Exec(always, insert, n, "twice", 1)
		note("twice", refused(err))
		_, err = inner.Exec(always, "SELECT 1")
		note("failed", refused(err))
		must(inner.Rollback(always))
		do(conn, insert, n+1, fmt.Sprint("kept, too ", n), 1)
		must(outer.Commit(always))
		other, err := conn.Begin(always)
		must(err)
		do(conn, insert, n+2, "taken back", 1)
		must(other.Rollback(always))
		locate(conn, "one")
	}
	note("left", ask(conn, "SELECT id, owner FROM account ORDER BY id"))
}

func failures(conn *pgx.Conn) {
	for n := 0; n < rounds; n++ {
		for _, sql := range []string{"SELECT 1 / $1::int", "SELEKT $1", "SELECT * FROM nowhere WHERE id = $1"} {
			_, err := tryToAsk(conn, sql, 0)
			note(sql, refused(err))
		}
		note("usable", ask(conn, "SELECT $1::int", n))
		locate(conn, "one")
	}
}

// change: pgx forgets its statement on "cached plan must not change result type"; the application tries again.
func change(conn *pgx.Conn) {
	other := connect()
	defer other.Close(always)
	openShop(conn)
	do(conn, "INSERT INTO account VALUES (1, 'first', 1)")
	for n := 0; n < 6; n++ {
		for i := 0; i < rounds/3; i++ {
			found, err := tryToAsk(conn, "SELECT * FROM account WHERE id = $1", 1)
			if refused(err) == "0A000" {
				found, err = tryToAsk(conn, "SELECT * FROM account WHERE id = $1", 1)
			}
			must(err)
			note("row", found)
			locate(conn, "one")
		}
		do(other, fmt.Sprintf("ALTER TABLE account ADD COLUMN extra_%d int DEFAULT %d", n, n))
	}
}

// batches go out in one go, and their statements are prepared before that.
func batches(conn *pgx.Conn) {
	openShop(conn)
	for n := 0; n < rounds; n++ {
		batch := &pgx.Batch{}
		for i := 0; i < 20; i++ {
			batch.Queue(insert, 20*n+i, fmt.Sprint("owner ", 20*n+i), i)
		}
		batch.Queue("SELECT count(*) FROM account WHERE id >= $1", 20*n)
		if n%4 == 3 {
			batch.Queue("SELECT 1 / $1::int", 0) // takes all of its batch with it
		}
		results := conn.SendBatch(always, batch)
		for i := 0; i < 20; i++ {
			_, err := results.Exec()
			must(err)
		}
		var count int
		must(results.QueryRow().Scan(&count))
		note("count", count)
		note("end", refused(results.Close()))
		locate(conn, "one")
	}
	note("left", ask(conn, "SELECT count(*), sum(id) FROM account"))
}

func copies(conn *pgx.Conn) {
	openShop(conn)
	columns := []string{"id", "owner", "balance"}
	for n := 0; n < rounds; n++ {
		rows := [][]any{}
		for i := 50 * n; i < 50*n+50; i++ {
			rows = append(rows, []any{i, fmt.Sprint("ownér ", i), i})
		}
		count, err := conn.CopyFrom(always, pgx.Identifier{"account"}, columns, pgx.CopyFromRows(rows))
		must(err)
		note("in", count)
		_, err = conn.CopyFrom(always, pgx.Identifier{"account"}, columns, pgx.CopyFromRows(rows))
		note("twice", refused(err))
		var out bytes.Buffer
		_, err = conn.PgConn().CopyTo(always, &out, "COPY (SELECT * FROM account ORDER BY id) TO STDOUT")
		must(err)
		note("out", digest(out.Bytes()))
		locate(conn, "one")
	}
}

func large(conn *pgx.Conn) {
	openShop(conn)
	for n := 0; n < 3; n++ {
		text, scan := strings.Repeat(fmt.Sprint("ü", n), 700_000), bytes.Repeat([]byte{byte(n), 0, 255}, 700_000)
		do(conn, "INSERT INTO document VALUES ($1, $2, $3)", n, text, scan)
		var body string
		var data []byte
		must(conn.QueryRow(always, "SELECT body, scan FROM document WHERE id = $1", n).Scan(&body, &data))
		note("text", digest([]byte(body)))
		note("bytes", digest(data))
	}
	for n := 0; n < rounds; n++ {
		locate(conn, "one")
	}
}

func cancel(conn *pgx.Conn) {
	other := connect()
	defer other.Close(always)
	asleep := "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'"
	for n := 0; n < 3; n++ {
		told := make(chan string)
		go func() {
			_, err := conn.Exec(always, "SELECT pg_sleep(600)")
			told <- refused(err)
		}()
		for len(ask(other, asleep)) == 0 {
		}
		must(conn.PgConn().CancelRequest(always))
		note("cancelled", <-told)
		note("usable", ask(conn, "SELECT $1::int", n))
	}
	for n := 0; n < rounds; n++ {
		locate(conn, "one")
	}
}

func pool() {
	config, err := pgxpool.ParseConfig("pool_max_conns=4")
	must(err)
	pool, err := pgxpool.ConnectConfig(always, config)
	must(err)
	defer pool.Close()
	first := connect()
	defer first.Close(always)
	openShop(first)
	var group sync.WaitGroup
	for task := 0; task < 8; task++ {
		group.Add(1)
		go func(task int) {
			defer group.Done()
			for n := 0; n < rounds; n++ {
				must(pool.BeginFunc(always, func(tx pgx.Tx) error {
					_, err := tx.Exec(always, insert, 1000*task+n, fmt.Sprint(task, " ", n), n)
					return err
				}))
			}
		}(task)
	}
	group.Wait()
	note("left", ask(first, "SELECT count(*), sum(id) FROM account"))
	for n := 0; n < rounds; n++ {
		locate(first, "first")
	}
}
