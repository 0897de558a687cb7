import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { messageRefusal } from '../../src/coordinator/admission.js';
import { phaseTransitions, workerTransitions } from '../../src/coordinator/transitions.js';
import type { WorkerRecord } from '../../src/coordinator/types.js';
import { headerBytes, phases } from '../../src/shared/protocol/frame.js';
import {
  coordinatorMessageSchema,
  workerMessageSchema,
  type WorkerMessage,
} from '../../src/shared/protocol/messages.js';
import { communicatorTransitions } from '../../src/worker/communicator/communicator-state.js';
import { CoordinatedRun } from '../support/coordinated-run.js';

const root = new URL('../../', import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, root), 'utf8');

/** The cells of the first table after a line of the page. */
function tableAfter(page: string, line: string): string[][] {
  const all = page.split('\n');
  const start = all.indexOf(line);
  expect(start, line).toBeGreaterThanOrEqual(0);
  const lines = all.slice(start + 1);
  const first = lines.findIndex((text) => text.startsWith('|'));
  const length = lines.slice(first).findIndex((text) => !text.startsWith('|'));
  const rows = lines.slice(first + 2, length < 0 ? undefined : first + length);
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const names = (rows: string[][], column: number): string[] =>
  rows.map((row) => /^`(.+)`$/.exec(row[column] ?? '')?.[1] ?? '');

const pairs = (table: Readonly<Record<string, readonly string[]>>): string[] =>
  Object.entries(table).flatMap(([from, next]) => next.map((to) => `${from} -> ${to}`));

const typesOf = (schema: typeof workerMessageSchema | typeof coordinatorMessageSchema): string[] =>
  schema.options.map(({ shape }) => shape.type.value);

describe('docs/protocol.md', () => {
  const page = read('docs/protocol.md');

  it.each([
    ['## Messages of a worker', workerMessageSchema],
    ['## Messages of the coordinator', coordinatorMessageSchema],
  ] as const)('%s contains every message of the schema and no other', (heading, schema) => {
    expect(names(tableAfter(page, heading), 0).sort()).toEqual(typesOf(schema).sort());
  });

  it('names every message once in the table of acceptance, and those without a generation or from members only', () => {
    const rows = tableAfter(page, '### Which messages the coordinator accepts').map(
      ([messages = '', other = '', from = '']) => ({
        types: [...messages.matchAll(/`(\w+)`/g)].map(([, type = '']) => type),
        other,
        from,
      }),
    );
    expect(rows.flatMap(({ types }) => types).sort()).toEqual(typesOf(workerMessageSchema).sort());
    const run = new CoordinatedRun();
    run.join('a', 1);
    const worker = run.state.workers.get('a') as WorkerRecord;
    for (const { types, other, from } of rows) {
      for (const type of types) {
        const option = workerMessageSchema.options.find(({ shape }) => shape.type.value === type);
        expect('generation' in (option?.shape ?? {}), type).toBe(!other.includes('contains no'));
        const refused = messageRefusal(worker, { type } as WorkerMessage) !== undefined;
        expect(refused, type).toBe(from === 'members');
      }
    }
  });

  it.each([
    ['<!-- phase transitions -->', phaseTransitions],
    ['<!-- worker transitions -->', workerTransitions],
    ['<!-- communicator transitions -->', communicatorTransitions],
  ] as const)('%s contains every declared transition and no other', (marker, table) => {
    const rows = tableAfter(page, marker);
    const from = names(rows, 0);
    const documented = names(rows, 1).map((to, i) => `${from[i] ?? ''} -> ${to}`);
    expect(documented.sort()).toEqual(pairs(table).sort());
  });

  it('draws every transition between phases except failures and repetitions', () => {
    const drawn = [...page.matchAll(/^ {4}(\w+) --> (\w+)/gm)].map(
      ([, from = '', to = '']) => `${from} -> ${to}`,
    );
    const expected = pairs(phaseTransitions).filter(
      (pair) => !pair.endsWith('failed') && pair !== 'stopping -> stopping',
    );
    expect(drawn.sort()).toEqual(expected.sort());
  });

  it('describes every byte of the header and every phase of a frame', () => {
    const rows = tableAfter(page, '## Frames of the data plane');
    const ranges = rows.map(([bytes = '']) => bytes.split('-').map(Number));
    let next = 0;
    for (const [start, end = start] of ranges) {
      expect(start).toBe(next);
      next = (end ?? 0) + 1;
    }
    expect(next).toBe(headerBytes);
    for (const phase of phases)
      expect(rows.find(([, field]) => field === 'phase')?.[2]).toContain(`\`${phase}\``);
  });
});

describe('docs/glossary.md', () => {
  const rows = tableAfter(read('docs/glossary.md'), '# Glossary');

  it('has at most 60 terms, sorted and without repetitions', () => {
    expect(rows.length).toBeGreaterThan(20);
    expect(rows.length).toBeLessThanOrEqual(60);
    const terms = rows.map(([term = '']) => term.toLowerCase());
    expect(terms).toEqual([...new Set(terms)].sort());
  });

  it.each(rows)('explains %s in one line and names an existing file', (_term, meaning, file) => {
    expect(meaning).not.toBe('');
    expect(existsSync(new URL(file.replaceAll('`', ''), root)), file).toBe(true);
  });
});
