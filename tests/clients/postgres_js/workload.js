// postgres.js: every statement prepared under a name, queries pipelined, a pool from the start.  One story a run.
'use strict';

const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const postgres = require('postgres');
const { cases, ROUNDS, note, served, digest, refused, main } = require('../stories');

const settings = { onnotice: () => {}, idle_timeout: 0 };

async function openShop(sql) {
  for (const statement of cases.shop) await sql.unsafe(statement);
}

async function locate(sql, name = 'one') {
  const [{ pid }] = await sql`SELECT pg_backend_pid() AS pid`;
  served(name, pid);
}

/** A story with one connection. */
const alone = (story) => async () => {
  const sql = postgres({ ...settings, max: 1 });
  await story(sql);
  await sql.end();
};

/** No story, but a client that goes where it may. */
const where = alone(async (sql) => {
  for (let n = 0; n < ROUNDS; n++) await locate(sql);
});

const stories = {
  async rows() {
    const [one, two, three] = [1, 2, 3].map(() => postgres({ ...settings, max: 1 }));
    await openShop(one);
    for (let n = 0; n < ROUNDS; n++) {
      await one`INSERT INTO account ${one({ id: n, owner: `owner ${n}`, balance: n / 4 })}`;
      note('read', await two`SELECT * FROM account WHERE id = ${n}`);
      await three`UPDATE account SET balance = balance + ${n} WHERE id = ${n}`;
      if (n % 3 === 0) await two`DELETE FROM account WHERE id = ${n - 3}`;
      for (const [index, sql] of [one, two, three].entries()) await locate(sql, `client ${index}`);
    }
    note('left', await three`SELECT id, owner, balance FROM account ORDER BY id`);
    for (const sql of [one, two, three]) await sql.end();
  },

  values: alone(async (sql) => {
    for (const [type, literal] of cases.values) {
      const [{ value }] = await sql`SELECT ${literal}::text::${sql.unsafe(type)} AS value`;
      note(type, value);
      note('sent back', await echo(sql, type, value));
      await locate(sql);
    }
  }),

  transactions: alone(async (sql) => {
    await openShop(sql);
    for (let n = 0; n < 4 * ROUNDS; n += 4) {
      await sql.begin('isolation level repeatable read', async (sql) => {
        await sql`INSERT INTO account (id, owner, balance) VALUES (${n}, ${`outer ${n}`}, 1)`;
        note('inner', await refused(sql.savepoint(async (sql) => {
          await sql`INSERT INTO account (id, owner, balance) VALUES (${n + 1}, 'inner', 1)`;
          await sql`INSERT INTO account (id, owner, balance) VALUES (${n}, 'twice', 1)`;
        })));
        await sql.savepoint((sql) => sql`INSERT INTO account (id, owner, balance) VALUES (${n + 2}, ${`inner ${n}`}, 1)`);
      });
      note('taken back', await refused(sql.begin(async (sql) => {
        await sql`INSERT INTO account (id, owner, balance) VALUES (${n + 3}, 'taken back', 1)`;
        await sql`SELECT 1 / ${0}::int`;
      })));
      await locate(sql);
    }
    note('left', await sql`SELECT id, owner FROM account ORDER BY id`);
  }),

  // Sent in one go: each has its own Sync.
  pipelined: alone(async (sql) => {
    await openShop(sql);
    for (let start = 0; start < 20 * ROUNDS; start += 20) {
      const sent = Array.from({ length: 20 }, (_, i) => i % 7 === 3
        ? refused(sql`SELECT 1 / ${0}::int`)
        : sql`INSERT INTO account (id, owner, balance) VALUES (${start + i}, ${`owner ${start + i}`}, ${i}) RETURNING owner, pg_backend_pid() AS pid`);
      for (const answer of await Promise.all(sent)) {
        note('answer', answer[0].owner ?? answer);
        if (answer[0].pid) served('one', answer[0].pid);
      }
    }
    note('sum', await sql`SELECT count(*), sum(balance) FROM account`);
  }),

  // In one transaction, pipelined too: an error takes the rest of it with it.
  async pool() {
    const sql = postgres({ ...settings, max: 4 });
    await openShop(sql);
    note('owners', await Promise.all(Array.from({ length: 8 * ROUNDS }, (_, n) => sql.begin((sql) => [
      sql`INSERT INTO account (id, owner, balance) VALUES (${n}, ${`owner ${n}`}, ${n})`,
      sql`SELECT owner FROM account WHERE id = ${n}`,
    ]))));
    note('sum', await sql`SELECT count(*), sum(balance) FROM account`);
    await sql.end();
    await where();
  },

  errors: alone(async (sql) => {
    for (let n = 0; n < ROUNDS; n++) {
      note('zero', await refused(sql`SELECT 1 / ${0}::int`));
      note('syntax', await refused(sql`SELEKT ${0}`));
      note('nowhere', await refused(sql`SELECT * FROM nowhere WHERE id = ${0}`));
      note('usable', await sql`SELECT ${n}::int AS n`);
      await locate(sql);
    }
  }),

  // postgres.js prepares anew by itself when a cached plan's result has changed.
  change: alone(async (sql) => {
    const other = postgres({ ...settings, max: 1 });
    await openShop(sql);
    await sql`INSERT INTO account VALUES (1, 'first', 1)`;
    for (let n = 0; n < 6; n++) {
      for (let i = 0; i < ROUNDS / 3; i++) {
        note('row', await sql`SELECT * FROM account WHERE id = ${1}`);
        await locate(sql);
      }
      await other.unsafe(`ALTER TABLE account ADD COLUMN extra_${n} int DEFAULT ${n}`);
    }
    await other.end();
  }),

  cursors: alone(async (sql) => {
    for (let n = 0; n < ROUNDS; n++) {
      let sum = 0;
      for await (const rows of sql`SELECT i FROM generate_series(1, ${350 + n}::int) i`.cursor(100)) for (const row of rows) sum += row.i;
      note('sum', sum);
      await locate(sql);
    }
  }),

  copies: alone(async (sql) => {
    await openShop(sql);
    for (let n = 0; n < ROUNDS; n++) {
      const lines = Array.from({ length: 50 }, (_, i) => `${50 * n + i}\townér ${i} of ${n}\t${i}\n`);
      await pipeline(Readable.from(lines), await sql`COPY account (id, owner, balance) FROM STDIN`.writable());
      // Not above 16 KB: there the driver's readable stream comes to a stop, on PostgreSQL itself too.
      const text = `COPY (SELECT * FROM account WHERE id >= ${50 * n} ORDER BY id) TO STDOUT`;
      const out = [];
      for await (const piece of await sql.unsafe(text).readable()) out.push(piece);
      note('out', digest(Buffer.concat(out)));
      await locate(sql);
    }
  }),

  large: alone(async (sql) => {
    await openShop(sql);
    for (let n = 0; n < 3; n++) {
      const [body, scan] = [`ü${n}`.repeat(700_000), Buffer.alloc(2_100_000, Buffer.from([n, 0, 255]))];
      await sql`INSERT INTO document VALUES (${n}, ${body}, ${scan})`;
      const [document] = await sql`SELECT body, scan FROM document WHERE id = ${n}`;
      note('text', digest(document.body));
      note('bytes', digest(document.scan));
    }
    for (let n = 0; n < ROUNDS; n++) await locate(sql);
  }),

  cancel: alone(async (sql) => {
    const other = postgres({ ...settings, max: 1 });
    for (let n = 0; n < 3; n++) {
      const query = sql`SELECT pg_sleep(600)`;
      const sleeping = refused(query);
      while (!(await other`SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'`).length);
      query.cancel();
      note('cancelled', await sleeping);
      note('usable', await sql`SELECT ${n}::int AS n`);
    }
    for (let n = 0; n < ROUNDS; n++) await locate(sql);
    await other.end();
  }),
};

/** The driver's own value as PostgreSQL reads it. */
async function echo(sql, type, value) {
  try {
    return (await sql`SELECT (${value}::${sql.unsafe(type)})::text AS value`)[0].value;
  } catch (error) {
    return error.code ?? error.message;
  }
}

main(stories);
