import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { onWasm } from '../support/engines.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

interface Diff {
  readonly steps: number;
  readonly config: readonly string[];
  readonly difference: Readonly<Record<string, unknown>> | null;
}

async function diff(a: string, b: string): Promise<{ status: number | null; answer: Diff }> {
  const { status, stdout } = await lockstep(['diff', a, b, '--json']);
  return { status, answer: JSON.parse(stdout) as Diff };
}

describe('the audit ledger', () => {
  const common = ['--shards', '4', '--epochs', '6', '--threads', '1', '--evaluate', 'none', '--audit'];

  async function audited(config: string, ...options: string[]): Promise<string> {
    const out = await temporaryFolder();
    const { status, stderr } = await lockstep([
      'train',
      '--config',
      config,
      ...common,
      '--out',
      out,
      ...options,
    ]);
    expect(status, stderr).toBe(0);
    return out;
  }

  it('is the same for any number of workers, and locates a flipped bit of one gradient', async () => {
    const { config } = await writeSmallTraining(await temporaryFolder(), { count: 70 });
    const [two, three] = [await audited(config, '--workers', '2'), await audited(config, '--workers', '3')];
    expect(await diff(two, three)).toEqual({
      status: 0,
      answer: {
        steps: 12,
        last: { a: 12, b: 12 },
        config: [],
        difference: null,
        missing: 0,
        unwritten: { a: 0, b: 0 },
      },
    });

    const lines = (await readFile(join(two, 'ledger.ndjson'), 'utf8')).trim().split('\n');
    const { names } = JSON.parse(lines[0] ?? '') as { names: string[] };
    const parameter = names[1] ?? '';
    // The lowest bit: a change that no printed loss would show.
    const flipped = await audited(config, '--workers', '3', '--bit-flip', `7:2:${parameter}:0`);
    const found = await diff(two, flipped);
    expect(found.status).toBe(1);
    expect(found.answer.difference).toMatchObject({
      step: 7,
      kind: 'gradient',
      shard: 2,
      parameter,
      others: 0,
    });
    const words = await lockstep(['diff', two, flipped]);
    expect(words.stdout).toContain(`step 7, shard 2, gradient of ${parameter}`);
  });

  it.skipIf(onWasm)('names what of the configs differs, and where the runs part', async () => {
    const { config } = await writeSmallTraining(await temporaryFolder(), { count: 70 });
    const a = await audited(config, '--single-process', '--seed', '1');
    const b = await audited(config, '--single-process', '--seed', '2');
    const { status, answer } = await diff(a, b);
    expect(status).toBe(1);
    expect(answer.config).toEqual(['seed: 1 and 2']);
    expect(answer.difference).toMatchObject({ step: 1, kind: 'loss', shard: 0 });
  });

  it.skipIf(onWasm)(
    'is refused when it is missing or damaged, by file and line; a torn last line is left out',
    async () => {
      const { config } = await writeSmallTraining(await temporaryFolder(), { count: 70 });
      const run = await audited(config, '--single-process');
      const empty = await temporaryFolder();
      const missing = await lockstep(['diff', run, empty]);
      expect(missing.status).toBe(2);
      expect(missing.stderr).toMatch(/ledger\.ndjson can't be read \(ENOENT\).*--audit/);
      const file = join(empty, 'ledger.ndjson');
      const whole = await readFile(join(run, 'ledger.ndjson'), 'utf8');
      await writeFile(file, whole.slice(0, -20));
      expect((await diff(run, empty)).status).toBe(0);
      const lines = whole.split('\n');
      await writeFile(
        file,
        [...lines.slice(0, 3), '{"type":"shard","step":-1}', ...lines.slice(3)].join('\n'),
      );
      const damaged = await lockstep(['diff', run, empty]);
      expect(damaged.status).toBe(2);
      expect(damaged.stderr).toMatch(/ledger\.ndjson, line 4: expected an entry/);
    },
  );
});
