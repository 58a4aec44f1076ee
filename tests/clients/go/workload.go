// Go's pgx and lib/pq.  pgx prepares every statement under a name, keeps descriptions, and pipelines batches; lib/pq works
// through database/sql and its pool.  One story a run; notes are JSON lines on standard output.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"

	"github.com/jackc/pgconn"
	"github.com/lib/pq"
)

// rounds is how often a story asks which backend it is on; cases.py says why.
const rounds = 24

const insert = "INSERT INTO account (id, owner, balance) VALUES ($1, $2, $3)"

var stories = map[string]func(){
	"rows":         alone(rows),
	"values":       alone(values),
	"transactions": alone(transactions),
	"failures":     alone(failures),
	"change":       alone(change),
	"batches":      alone(batches),
	"copies":       alone(copies),
	"large":        alone(large),
	"cancel":       alone(cancel),
	"pool":         pool,
	"lib_pq":       libPq,
	"lib_pq_copy":  libPqCopy,
}

func main() {
	if len(os.Args) > 1 {
		stories[os.Args[1]]()
		return
	}
	names := []string{}
	for name := range stories {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Println(name)
	}
}

// notes

func tell(line map[string]any) {
	text, err := json.Marshal(line)
	must(err)
	fmt.Println(string(text))
}

func note(what string, value any) { tell(map[string]any{"note": what, "value": value}) }

func served(client string, pid int) { tell(map[string]any{"client": client, "pid": pid}) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func digest(bytes []byte) string {
	sum := sha256.Sum256(bytes)
	return fmt.Sprint(len(bytes), " ", hex.EncodeToString(sum[:]))
}

// refused is the SQLSTATE of what must fail.
func refused(err error) string {
	var pgx *pgconn.PgError
	var libPq *pq.Error
	switch {
	case err == nil:
		return "no error"
	case errors.As(err, &pgx):
		return pgx.Code
	case errors.As(err, &libPq):
		return string(libPq.Code)
	}
	return err.Error()
}

type shared struct {
	Shop   []string
	Values [][2]string
}

func cases() shared {
	text, err := os.ReadFile(os.Getenv("CASES"))
	must(err)
	var found shared
	must(json.Unmarshal(text, &found))
	return found
}
