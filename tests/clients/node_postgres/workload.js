// node-postgres: named statements, its pool, pg-query-stream and pg-copy-streams.  One story a run.
'use strict';

const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');
const { Client, Pool } = require('pg');
const QueryStream = require('pg-query-stream');
const copy = require('pg-copy-streams');
const { cases, ROUNDS, note, served, digest, refused, main } = require('../stories');

const INSERT = 'INSERT INTO account (id, owner, balance) VALUES ($1, $2, $3)';

async function clients(count) {
  const all = Array.from({ length: count }, () => new Client());
  for (const client of all) await client.connect();
  return all;
}

async function locate(client, name = 'one') {
  const { rows } = await client.query({ name: 'where', text: 'SELECT pg_backend_pid() AS pid' });
  served(name, rows[0].pid);
}

async function openShop(client) {
  for (const statement of cases.shop) await client.query(statement);
}

const named = (name, text, values) => ({ name, text, values });

/** A story with one connection. */
const alone = (story) => async () => {
  const [client] = await clients(1);
  await story(client);
  await client.end();
};

const stories = {
  async rows() {
    const [one, two, three] = await clients(3);
    await openShop(one);
    for (let n = 0; n < ROUNDS; n++) {
      await one.query(named('insert', INSERT, [n, `owner ${n}`, n / 4]));
      note('read', (await two.query(named('read', 'SELECT * FROM account WHERE id = $1', [n]))).rows);
      await three.query(named('update', 'UPDATE account SET balance = balance + $1 WHERE id = $2', [n, n]));
      if (n % 3 === 0) await two.query('DELETE FROM account WHERE id = $1', [n - 3]); // unnamed
      for (const [index, client] of [one, two, three].entries()) await locate(client, `client ${index}`);
    }
    note('left', (await three.query('SELECT id, owner, balance FROM account ORDER BY id')).rows);
    for (const client of [one, two, three]) await client.end();
  },

  values: alone(async (client) => {
    for (const [index, [type, literal]] of cases.values.entries()) {
      const { rows } = await client.query(named(`value ${index}`, `SELECT $1::text::${type} AS value`, [literal]));
      note(type, rows[0].value);
      note('sent back', await echo(client, type, rows[0].value));
      await locate(client);
    }
  }),

  transactions: alone(async (client) => {
    await openShop(client);
    for (let n = 0; n < 3 * ROUNDS; n += 3) {
      await client.query('BEGIN');
      await client.query(named('insert', INSERT, [n, `kept ${n}`, 1]));
      await client.query('SAVEPOINT before');
      note('twice', await refused(client.query(named('insert', INSERT, [n, 'twice', 1]))));
      note('failed', await refused(client.query(named('insert', INSERT, [n + 1, 'skipped', 1]))));
      await client.query('ROLLBACK TO SAVEPOINT before');
      await client.query(named('insert', INSERT, [n + 1, `kept, too ${n}`, 1]));
      await client.query('COMMIT');
      await client.query('BEGIN');
      await client.query(named('insert', INSERT, [n + 2, 'taken back', 1]));
      await client.query('ROLLBACK');
      await locate(client);
    }
    note('left', (await client.query('SELECT id, owner FROM account ORDER BY id')).rows);
  }),

  errors: alone(async (client) => {
    const wrong = ['SELECT 1 / $1::int', 'SELEKT $1', 'SELECT * FROM nowhere WHERE id = $1'];
    for (let n = 0; n < ROUNDS; n++) {
      for (const [index, text] of wrong.entries()) note(text, await refused(client.query(named(`wrong ${index}`, text, [0]))));
      note('usable', (await client.query(named('usable', 'SELECT $1::int AS n', [n]))).rows);
      await locate(client);
    }
  }),

  // All queries are sent at once; node-postgres queues them.
  async pool() {
    const pool = new Pool({ max: 4 });
    await openShop(pool);
    let count = 0;
    pool.on('connect', (client) => { client.number = count++; });
    const request = async (n) => {
      const client = await pool.connect();
      client.number ??= count++; // who opened the shop
      try {
        await client.query('BEGIN');
        await client.query(named('insert', INSERT, [n, `owner ${n}`, n]));
        const { rows } = await client.query(named('read', 'SELECT owner, pg_backend_pid() AS pid FROM account WHERE id = $1', [n]));
        await client.query('COMMIT');
        served(`client ${client.number}`, rows[0].pid);
        return rows[0].owner;
      } finally {
        client.release();
      }
    };
    note('owners', await Promise.all(Array.from({ length: 8 * ROUNDS }, (_, n) => request(n))));
    note('sum', (await pool.query('SELECT count(*), sum(balance) FROM account')).rows);
    await pool.end();
  },

  streams: alone(async (client) => {
    for (let n = 0; n < ROUNDS; n++) {
      let sum = 0;
      const text = 'SELECT i FROM generate_series(1, $1::int) i';
      for await (const row of client.query(new QueryStream(text, [350 + n], { batchSize: 100 }))) sum += row.i;
      note('sum', sum);
      await locate(client);
    }
  }),

  copies: alone(async (client) => {
    await openShop(client);
    for (let n = 0; n < ROUNDS; n++) {
      const lines = Array.from({ length: 50 }, (_, i) => `${50 * n + i}\townér ${i} of ${n}\t${i}\n`);
      await pipeline(Readable.from(lines), client.query(copy.from('COPY account (id, owner, balance) FROM STDIN')));
      const out = [];
      for await (const piece of client.query(copy.to(`COPY (SELECT * FROM account WHERE id >= ${50 * n} ORDER BY id) TO STDOUT`))) out.push(piece);
      note('out', digest(Buffer.concat(out)));
      note('wrong', await refused(pipeline(Readable.from(['no number\n']), client.query(copy.from('COPY account FROM STDIN')))));
      await locate(client);
    }
  }),

  large: alone(async (client) => {
    await openShop(client);
    for (let n = 0; n < 3; n++) {
      const [body, scan] = [`ü${n}`.repeat(700000), Buffer.alloc(2_100_000, Buffer.from([n, 0, 255]))];
      await client.query(named('store', 'INSERT INTO document VALUES ($1, $2, $3)', [n, body, scan]));
      const { rows } = await client.query(named('fetch', 'SELECT body, scan FROM document WHERE id = $1', [n]));
      note('text', digest(rows[0].body));
      note('bytes', digest(rows[0].scan));
    }
    for (let n = 0; n < ROUNDS; n++) await locate(client);
  }),

  async cancel() {
    const [client, other] = await clients(2);
    for (let n = 0; n < 3; n++) {
      const sleeping = refused(client.query('SELECT pg_sleep(600)'));
      const asleep = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'";
      while (!(await other.query(asleep)).rowCount);
      new Client().cancel(client, client.activeQuery ?? client._getActiveQuery());
      note('cancelled', await sleeping);
      note('usable', (await client.query(named('usable', 'SELECT $1::int AS n', [n]))).rows);
    }
    for (let n = 0; n < ROUNDS; n++) await locate(client);
    await client.end();
    await other.end();
  },
};

/** The driver's own value as PostgreSQL reads it. */
async function echo(client, type, value) {
  try {
    return (await client.query(`SELECT ($1::${type})::text AS value`, [value])).rows[0].value;
  } catch (error) {
    return error.code;
  }
}

main(stories);
