// What the workloads for Node.js share: notes as JSON lines on standard output, the cases, and the choice of a story.
'use strict';

const crypto = require('node:crypto');
const path = require('node:path');

const cases = require(path.join(__dirname, 'cases.json'));

/** How often a story asks which backend it is on; cases.py says why. */
const ROUNDS = 24;

const print = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const note = (what, value) => print({ note: what, value: value === undefined ? null : value });
const served = (client, pid) => print({ client, pid: Number(pid) });
const digest = (value) => [value.length, crypto.createHash('sha256').update(value).digest('hex')];

/** The SQLSTATE of what must fail. */
async function refused(work) {
  try {
    await work;
  } catch (error) {
    return error.code;
  }
  return 'no error';
}

/** Runs the story that the command line names; without a name it prints them all. */
async function main(stories) {
  const name = process.argv[2];
  if (!name) return Object.keys(stories).forEach((story) => process.stdout.write(story + '\n'));
  await stories[name]();
}

module.exports = { cases, ROUNDS, note, served, digest, refused, main };
