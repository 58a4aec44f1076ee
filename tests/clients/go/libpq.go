package main

import (
	"database/sql"
	"fmt"
	"sync"

	"github.com/lib/pq"
)

func open(connections int) *sql.DB {
	db, err := sql.Open("postgres", "sslmode=disable")
	must(err)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db
}

func locateDb(db *sql.DB) {
	var pid int
	must(db.QueryRow("SELECT pg_backend_pid()").Scan(&pid))
	served("one", pid)
}

// libPq: statements prepared once and used by many goroutines over four connections; then one connection by itself.
func libPq() {
	db := open(4)
	defer db.Close()
	for _, statement := range cases().Shop {
		_, err := db.Exec(statement)
		must(err)
	}
	prepared, err := db.Prepare(insert)
	must(err)
	var group sync.WaitGroup
	for task := 0; task < 8; task++ {
		group.Add(1)
		go func(task int) {
			defer group.Done()
			for n := 0; n < rounds; n++ {
				_, err := prepared.Exec(1000*task+n, fmt.Sprint(task, " ", n), n)
				must(err)
				var owner string
				must(db.QueryRow("SELECT owner FROM account WHERE id = $1", 1000*task+n).Scan(&owner))
				if owner != fmt.Sprint(task, " ", n) {
					panic(owner)
				}
			}
		}(task)
	}
	group.Wait()

	single := open(1)
	defer single.Close()
	for n := 0; n < rounds; n++ {
		tx, err := single.Begin()
		must(err)
		_, err = tx.Exec(insert, 100_000+n, "new", n)
		must(err)
		_, err = tx.Exec(insert, 0, "twice", n)
		note("twice", refused(err))
		note("over", fmt.Sprint(tx.Commit()))
		locateDb(single)
	}
	var count, sum int
	must(db.QueryRow("SELECT count(*), sum(id) FROM account").Scan(&count, &sum))
	note("left", []int{count, sum})
}

func libPqCopy() {
	db := open(1)
	defer db.Close()
	for _, statement := range cases().Shop {
		_, err := db.Exec(statement)
		must(err)
	}
	for n := 0; n < rounds; n++ {
		tx, err := db.Begin()
		must(err)
		in, err := tx.Prepare(pq.CopyIn("account", "id", "owner", "balance"))
		must(err)
		for i := 50 * n; i < 50*n+50; i++ {
			_, err = in.Exec(i, fmt.Sprint("ownér ", i), i)
			must(err)
		}
		_, err = in.Exec()
		must(err)
		must(in.Close())
		must(tx.Commit())
		locateDb(db)
	}
	var count, sum int
	must(db.QueryRow("SELECT count(*), sum(id) FROM account").Scan(&count, &sum))
	note("left", []int{count, sum})
}
