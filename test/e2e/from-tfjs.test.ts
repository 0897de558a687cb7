import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/lockstep.js';

const place = (name: string, file: string): string =>
  fileURLToPath(new URL(`../../examples/from-tfjs/${name}/${file}`, import.meta.url));

async function printed(file: string, ...args: readonly string[]): Promise<unknown> {
  const env = { ...process.env, LOCKSTEP_ENGINE: 'wasm', LOCKSTEP_THREADS: '1' };
  const { stdout } = await promisify(execFile)(process.execPath, [file, ...args], { env });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

/** Numbers by their path, e.g. `loss.0`. */
function numbersOf(value: unknown, path = ''): [string, number][] {
  if (typeof value === 'number') return [[path, value]];
  return Object.entries(value as object).flatMap(([key, inner]) => numbersOf(inner, `${path}.${key}`));
}

/** Lines that were changed or added: the lines of `after` that are not in `before`. */
const changedLines = (before: string, after: string): string[] => {
  const known = new Set(before.split('\n'));
  return after.split('\n').filter((line) => !known.has(line));
};

describe.each(['iris', 'mnist', 'addition-rnn'])('the script %s', (name) => {
  it("moves from tfjs's fit to Lockstep's by three lines, with the same history for one worker and two", async () => {
    const [before, after] = [place(name, 'before.mjs'), place(name, 'after.mjs')];
    const [old, changed] = [await readFile(before, 'utf8'), await readFile(after, 'utf8')];
    expect(changedLines(old, changed)).toHaveLength(3);
    // One line is replaced, and none is removed.
    expect(changedLines(changed, old)).toHaveLength(1);
    const expected = numbersOf(await printed(before));
    expect(expected.length).toBeGreaterThanOrEqual(8);
    for (const workers of ['1', '2']) {
      const found = numbersOf(await printed(after, workers));
      expect(found.map(([path]) => path)).toEqual(expected.map(([path]) => path));
      for (const [i, [path, value]] of found.entries())
        expect(
          Math.abs(value - (expected[i]?.[1] ?? Number.NaN)),
          `${path}, ${workers} workers`,
        ).toBeLessThan(1e-4);
    }
  });
});

it('the script of docs/from-tfjs.md trains, prints its epochs, and predicts', async () => {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const page = await readFile(join(root, 'docs', 'from-tfjs.md'), 'utf8');
  const [, script = ''] = /^```js\n(import \* as tf[^]*?)^```/m.exec(page) ?? [];
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'node_modules', '@tensorflow'), { recursive: true });
  await symlink(root, join(folder, 'node_modules', 'lockstep'));
  const tfjs = join('node_modules', '@tensorflow', 'tfjs');
  await symlink(join(root, tfjs), join(folder, tfjs));
  await writeFile(join(folder, 'train.mjs'), script);
  const env = { ...process.env, LOCKSTEP_ENGINE: 'wasm', LOCKSTEP_THREADS: '1' };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['train.mjs'], { cwd: folder, env });
  const epochs = [
    ...stderr.matchAll(/^Epoch (\d+)\/20 - loss: (\S+) - acc: \S+ - val_loss: \S+ - val_acc: \S+$/gm),
  ];
  expect(epochs.map(([, epoch]) => Number(epoch))).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect(Number(epochs.at(-1)?.[2])).toBeLessThan(Number(epochs[0]?.[2]));
  expect(stdout).toMatch(/^0\.\d+\nTensor\n/m);
});
