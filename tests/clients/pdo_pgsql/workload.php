<?php
// PHP's PDO: server-side prepared statements, named by a counter and deallocated by SQL when their object goes; the same
// with its emulation, persistent connections, and COPY.  One story a run.

declare(strict_types=1);

const ROUNDS = 24; // how often a story asks which backend it is on; cases.py says why
const INSERT = 'INSERT INTO account (id, owner, balance) VALUES (?, ?, ?)';

define('CASES', json_decode(file_get_contents(__DIR__ . '/../cases.json'), true));

function tell(array $line): void
{
    echo json_encode($line, JSON_THROW_ON_ERROR), "\n";
}

function note(string $what, mixed $value): void
{
    tell(['note' => $what, 'value' => $value]);
}

function locate(PDO $db, string $name = 'one'): void
{
    tell(['client' => $name, 'pid' => (int) ask($db, 'SELECT pg_backend_pid()')[0]['pg_backend_pid']]);
}

function connect(array $options = []): PDO
{
    // The environment has no password for PDO as such: it comes from libpq.
    return new PDO('pgsql:', null, null, $options + [PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC]);
}

/** One statement, prepared for this one time: PDO deallocates it at the end. */
function ask(PDO $db, string $sql, array $values = []): array
{
    $statement = $db->prepare($sql);
    $statement->execute($values);
    return $statement->fetchAll();
}

function openShop(PDO $db): void
{
    foreach (CASES['shop'] as $statement) {
        $db->exec($statement);
    }
}

/** The SQLSTATE of what must fail. */
function refused(callable $work): string
{
    try {
        $work();
        return 'no error';
    } catch (PDOException $error) {
        return $error->errorInfo[0];
    }
}

function shown(mixed $value): mixed
{
    return is_resource($value) ? bin2hex(stream_get_contents($value)) : $value;
}

$stories = [
    'rows' => function (array $options = []): void {
        [$one, $two, $three] = [connect($options), connect($options), connect($options)];
        openShop($one);
        $insert = $one->prepare(INSERT);
        $read = $two->prepare('SELECT * FROM account WHERE id = ?');
        $update = $three->prepare('UPDATE account SET balance = balance + ? WHERE id = ?');
        for ($n = 0; $n < ROUNDS; $n++) {
            $insert->execute([$n, "owner $n", $n / 4]);
            $read->execute([$n]);
            note('read', $read->fetchAll());
            $update->execute([$n, $n]);
            note('updated', $update->rowCount());
            if ($n % 3 === 0) {
                ask($one, 'DELETE FROM account WHERE id = ?', [$n - 3]);
            }
            foreach ([$one, $two, $three] as $index => $db) {
                locate($db, "client $index");
            }
        }
        note('left', ask($three, 'SELECT id, owner, balance FROM account ORDER BY id'));
    },

    'emulated' => function () use (&$stories): void {
        $stories['rows']([PDO::ATTR_EMULATE_PREPARES => true]);
    },

    // Objects that come and go, inside of transactions and outside: each deallocates its statement.
    'objects' => function (): void {
        $db = connect();
        for ($n = 0; $n < ROUNDS; $n++) {
            note('sum', ask($db, "SELECT ?::int + $n AS sum", [1]));
            $db->beginTransaction();
            note('inside', ask($db, "SELECT ?::int - $n AS difference", [1]));
            note('still usable', ask($db, 'SELECT ?::int AS seven', [7]));
            $db->commit();
            $kept[] = $db->prepare("SELECT ?::int * $n AS product");
            $kept[0]->execute([$n]);
            note('an older one', $kept[0]->fetchAll());
            locate($db);
        }
    },

    'values' => function (): void {
        $db = connect();
        foreach (CASES['values'] as [$type, $literal]) {
            $value = shown(ask($db, "SELECT ?::text::$type AS value", [$literal])[0]['value']);
            note($type, $value);
            note('sent back', refused(function () use ($db, $type, $value): void {
                note('as', ask($db, "SELECT (?::$type)::text AS value", [$value]));
            }));
            locate($db);
        }
    },

    'transactions' => function (): void {
        $db = connect();
        openShop($db);
        $insert = $db->prepare(INSERT);
        for ($n = 0; $n < 3 * ROUNDS; $n += 3) {
            $db->beginTransaction();
            $insert->execute([$n, "kept $n", 1]);
            $db->exec('SAVEPOINT before');
            note('twice', refused(fn () => $insert->execute([$n, 'twice', 1])));
            note('failed', refused(fn () => $db->query('SELECT 1')));
            $db->exec('ROLLBACK TO SAVEPOINT before');
            $insert->execute([$n + 1, "kept, too $n", 1]);
            $db->commit();
            $db->beginTransaction();
            $insert->execute([$n + 2, 'taken back', 1]);
            $db->rollBack();
            locate($db);
        }
        note('left', ask($db, 'SELECT id, owner FROM account ORDER BY id'));
    },

    'errors' => function (): void {
        $db = connect();
        for ($n = 0; $n < ROUNDS; $n++) {
            foreach (['SELECT 1 / ?::int', 'SELEKT ?', 'SELECT * FROM nowhere WHERE id = ?'] as $sql) {
                note($sql, refused(fn () => ask($db, $sql, [0])));
            }
            note('usable', ask($db, 'SELECT ?::int AS n', [$n]));
            locate($db);
        }
    },

    'copies' => function (): void {
        $db = connect();
        openShop($db);
        for ($n = 0; $n < ROUNDS; $n++) {
            $rows = array_map(fn ($i) => "$i\townér $i\t$i", range(50 * $n, 50 * $n + 49));
            note('in', $db->pgsqlCopyFromArray('account', $rows, "\t", '\\\\N', 'id, owner, balance'));
            $sorted = '(SELECT * FROM account ORDER BY id)';
            note('out', hash('sha256', implode('', $db->pgsqlCopyToArray($sorted))));
            locate($db);
        }
    },

    'cursors' => function (): void {
        $db = connect();
        for ($n = 0; $n < ROUNDS; $n++) {
            $db->beginTransaction();
            $rows = $db->prepare('SELECT i FROM generate_series(1, 350) i', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
            $rows->execute();
            $sum = 0;
            while ($row = $rows->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_NEXT)) {
                $sum += $row[0];
            }
            note('last', $rows->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_LAST));
            note('sum', $sum);
            unset($rows);
            $db->commit();
            locate($db);
        }
    },

    'large' => function (): void {
        $db = connect();
        openShop($db);
        $insert = $db->prepare('INSERT INTO document VALUES (:id, :body, :scan)');
        for ($n = 0; $n < 3; $n++) {
            $insert->bindValue('id', $n, PDO::PARAM_INT);
            $insert->bindValue('body', str_repeat("ü$n", 700_000));
            $insert->bindValue('scan', str_repeat(pack('C*', $n, 0, 255), 700_000), PDO::PARAM_LOB);
            $insert->execute();
            $row = ask($db, 'SELECT body, scan FROM document WHERE id = ?', [$n])[0];
            note('text', hash('sha256', $row['body']));
            note('bytes', hash('sha256', stream_get_contents($row['scan'])));
        }
        for ($n = 0; $n < ROUNDS; $n++) {
            locate($db);
        }
    },
];

if ($argc > 1) {
    $stories[$argv[1]]();
} else {
    echo implode("\n", array_keys($stories)), "\n";
}
