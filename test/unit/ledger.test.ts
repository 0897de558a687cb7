import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { DataError } from '../../src/shared/errors.js';
import { compareLedgers } from '../../src/cli/ledger/compare-ledgers.js';
import { ledgerName, type LedgerEntry } from '../../src/shared/ledger/entries.js';
import { hashBytes, hashFloats } from '../../src/shared/ledger/hash.js';
import { readLedger, type RunLedger } from '../../src/cli/ledger/read-ledger.js';
import { loadNativeMemory } from '../../src/shared/memory/native-memory.js';
import { engineHost, findMemoryAddon } from '../../src/worker/engine/cache.js';

const names = ['kernel', 'bias'];
const hash = (digit: number): string => digit.toString(16).repeat(16);

/** The entries that two workers send for a step of two shards. */
function step(
  number: number,
  change: { gradient?: string; weights?: string; statistics?: string } = {},
): LedgerEntry[] {
  const { gradient = hash(2), weights = hash(5), statistics = hash(6) } = change;
  return [
    { type: 'shard', step: number, shard: 0, loss: 0.5, gradients: hash(1) + gradient },
    { type: 'shard', step: number, shard: 1, loss: 0.25, gradients: hash(3) + hash(4) },
    ...[0, 1].map((rank) => ({
      type: 'weights' as const,
      step: number,
      rank,
      hash: hash(7) + weights + statistics,
    })),
  ];
}

const begin: LedgerEntry = { type: 'parameters', names, workers: 2 };

describe('the ledger', () => {
  const folders: string[] = [];
  afterEach(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
  });

  async function ledgerOf(entries: readonly unknown[], tail = ''): Promise<RunLedger> {
    const folder = await mkdtemp(join(os.tmpdir(), 'lockstep-ledger-'));
    folders.push(folder);
    const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
    await writeFile(join(folder, ledgerName), lines + tail);
    return readLedger(folder);
  }

  it('compares by step, shard and parameter, whatever the order of the lines', async () => {
    const a = await ledgerOf([begin, ...step(1), ...step(2), ...step(3)]);
    const b = await ledgerOf([begin, begin, ...step(2).reverse(), ...step(1), ...step(3)]);
    expect(compareLedgers(a, b)).toEqual({ steps: 3, missing: 0, difference: undefined });
    const changed = await ledgerOf([
      begin,
      ...step(1),
      ...step(2, { gradient: hash(9) }),
      ...step(3, { gradient: hash(8), weights: hash(7) }),
    ]);
    expect(compareLedgers(a, changed)).toEqual({
      steps: 3,
      missing: 0,
      difference: {
        step: 2,
        kind: 'gradient',
        shard: 0,
        parameter: 'bias',
        others: 0,
        a: hash(2),
        b: hash(9),
      },
    });
    const later = await ledgerOf([begin, ...step(1, { weights: hash(8) })]);
    expect(compareLedgers(a, later).difference).toMatchObject({
      step: 1,
      kind: 'weights',
      parameter: 'bias',
      others: 0,
      a: hash(5),
      b: hash(8),
    });
    const statistics = await ledgerOf([begin, ...step(1, { statistics: hash(9) })]);
    expect(compareLedgers(a, statistics).difference).toEqual({
      step: 1,
      kind: 'statistics',
      a: hash(6),
      b: hash(9),
    });
  });

  it('omits steps whose entries were lost with a worker', async () => {
    const whole = await ledgerOf([begin, ...step(1), ...step(2)]);
    // Rank 1 died before it sent its shard of step 2, and with it its word on the weights.
    const cut = await ledgerOf([
      begin,
      ...step(1),
      ...step(2).filter((entry) => !('rank' in entry && entry.rank === 1) && !('shard' in entry)),
    ]);
    expect(cut.lastStep).toBe(1);
    expect(compareLedgers(whole, cut)).toEqual({ steps: 1, missing: 0, difference: undefined });
  });

  it('counts shards whose entries were lost as missing and compares the others', async () => {
    const whole = await ledgerOf([begin, ...step(1), ...step(2), ...step(3)]);
    const alone = { ...begin, workers: 1 };
    const lost = (entries: LedgerEntry[]): LedgerEntry[] =>
      entries.filter(
        (entry) => !('rank' in entry && entry.rank === 1) && !('shard' in entry && entry.shard === 1),
      );
    // Rank 1 was killed in step 3 and lost its entries of step 2; rank 0 ended the run.
    const cut = await ledgerOf([begin, ...step(1), ...lost(step(2)), alone, ...step(3)]);
    expect(compareLedgers(whole, cut)).toEqual({ steps: 3, missing: 1, difference: undefined });
    const changed = await ledgerOf([
      begin,
      ...step(1),
      ...lost(step(2, { gradient: hash(9) })),
      alone,
      ...step(3),
    ]);
    expect(compareLedgers(whole, changed).difference).toMatchObject({ step: 2, kind: 'gradient', shard: 0 });
  });

  it('keeps the steps of a time with fewer workers', async () => {
    const whole = await ledgerOf([begin, ...step(1), ...step(2), ...step(3)]);
    const second = step(2).filter((entry) => !('rank' in entry && entry.rank === 1));
    const run = await ledgerOf([begin, ...step(1), { ...begin, workers: 1 }, ...second, begin, ...step(3)]);
    expect(compareLedgers(whole, run)).toEqual({ steps: 3, missing: 0, difference: undefined });
  });

  it('does not compare runs with other numbers of shards', async () => {
    const a = await ledgerOf([begin, ...step(1)]);
    const b = await ledgerOf([begin, ...step(1).filter((entry) => !('shard' in entry && entry.shard === 1))]);
    expect(compareLedgers(a, b).difference).toMatchObject({ kind: 'shards', a: '2 shards', b: '1 shards' });
  });

  it('does not compare the hashes of different models', async () => {
    const a = await ledgerOf([begin, ...step(1)]);
    const b = await ledgerOf([{ ...begin, names: ['kernel', 'gamma'] }, ...step(1)]);
    expect(compareLedgers(a, b).difference).toMatchObject({ kind: 'parameters', a: 'kernel, bias' });
  });

  it('accepts an incomplete line before a gap, and counts what could not be written', async () => {
    const whole = await ledgerOf([begin, ...step(1), ...step(2), ...step(3)]);
    const gap = (entries: number): string => `${JSON.stringify({ type: 'gap', entries, fromMs: 1 })}\n`;
    const linesOf = (entries: readonly LedgerEntry[]): string =>
      entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
    const half = '{"type":"shard","step":2,"sha';
    // The entries of step 2 are lost, except for one that was begun before the disk failed and is repeated after it.
    const [repeated] = step(2);
    const cut = await ledgerOf(
      [begin, ...step(1)],
      `${half}\n${gap(0)}${linesOf([repeated!])}${gap(3)}${linesOf(step(3))}`,
    );
    expect(cut.unwritten).toBe(3);
    expect(compareLedgers(whole, cut)).toEqual({ steps: 2, missing: 0, difference: undefined });
    // The gap itself may be incomplete, and then another one follows.
    const twice = await ledgerOf([begin], `${half}\n{"type":"g\n${gap(1)}${linesOf(step(3))}`);
    expect(compareLedgers(whole, twice)).toEqual({ steps: 1, missing: 0, difference: undefined });
    await expect(ledgerOf([begin], `${half}\n${linesOf(step(3))}`)).rejects.toThrow(/line 2: .*other text/);
  });

  it('accepts as many entries as the longest run has', async () => {
    const weights = Array.from({ length: 150_000 }, (_, i) => ({
      type: 'weights',
      step: i + 1,
      rank: 0,
      hash: hash(1),
    }));
    expect((await ledgerOf([{ ...begin, names: [], workers: 1 }, ...weights])).lastStep).toBe(150_000);
  });

  it.each([
    ['other text', 'no JSON\n{}\n', /line 6: expected an entry, got other text/],
    ['a number that no step has', '{"type":"weights","step":-1,"rank":0,"hash":""}\n\n', /line 6: .*"step"/],
    ['too few hashes', '{"type":"shard","step":2,"shard":0,"loss":0,"gradients":""}\n', /line 6: .*2 hashes/],
    ['too few of the weights', '{"type":"weights","step":2,"rank":0,"hash":""}\n', /line 6: .*3 hashes/],
    ['other parameters', '{"type":"parameters","names":[],"workers":1}\n', /line 6: .*parameters of line 1/],
    ['an endless line', ' '.repeat(5 * 2 ** 20), /a longer one/],
  ])('is refused by file and line for %s', async (_, tail, message) => {
    const refusal = ledgerOf([begin, ...step(1)], tail);
    await expect(refusal).rejects.toThrow(message);
    await expect(refusal).rejects.toBeInstanceOf(DataError);
  });
});

describe("the ledger's hash", () => {
  const floats = fc.float32Array({ maxLength: 300 });
  const hashed = (values: Float32Array, by = hashFloats): string => {
    const target = Buffer.alloc(hashBytes);
    by(values, target);
    return target.toString('hex');
  };

  it('changes with every bit', () => {
    fc.assert(
      fc.property(floats, fc.nat(), fc.nat({ max: 31 }), (values, at, bit) => {
        fc.pre(values.length > 0);
        const other = values.slice();
        const words = new Uint32Array(other.buffer);
        words[at % words.length]! ^= 1 << bit;
        expect(hashed(other)).not.toBe(hashed(values));
      }),
    );
  });

  it('changes with the order and with zeros at the end', () => {
    expect(hashed(Float32Array.of(1, 2))).not.toBe(hashed(Float32Array.of(2, 1)));
    expect(hashed(Float32Array.of(1, 2, 0))).not.toBe(hashed(Float32Array.of(1, 2)));
  });

  it('is the same in native code', () => {
    const native = loadNativeMemory(findMemoryAddon(engineHost(process.env, os.homedir())))?.hash;
    const by = native ?? hashFloats;
    fc.assert(fc.property(floats, (values) => hashed(values, by) === hashed(values)));
  });
});
