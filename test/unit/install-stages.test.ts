import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { exclusively } from '../../src/worker/engine/install/exclusive.js';
import { reportStage } from '../../src/worker/engine/install/stages.js';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/lockstep.js';

describe('the progress of an installation', () => {
  it('is one line when a stage begins, further ones while it lasts, and none after its end', async () => {
    const lines: string[] = [];
    const log = (line: string): void => void lines.push(line);
    const result = await reportStage(
      log,
      { name: 'compiling', duration: 'a minute' },
      async () => {
        await eventually('two further lines', () => lines.length >= 3);
        return 7;
      },
      20,
    );
    expect(result).toBe(7);
    const count = lines.length;
    await sleep(60);
    expect(lines).toHaveLength(count);
    const [first, ...further] = lines;
    expect(first).toBe('Engine: compiling (a minute) ...');
    for (const line of further) expect(line).toMatch(/^Engine: compiling, \d+ s so far \.\.\.$/);
  });

  it('ends with a stage that fails', async () => {
    const lines: string[] = [];
    const failing = reportStage(
      (line) => lines.push(line),
      { name: 'compiling', duration: 'a minute' },
      () => Promise.reject(new Error('no compiler')),
      20,
    );
    await expect(failing).rejects.toThrow('no compiler');
    await sleep(60);
    expect(lines).toEqual(['Engine: compiling (a minute) ...']);
  });

  it('names the lock of another process once, before it waits', async () => {
    const directory = `${await temporaryFolder()}/engine`;
    const locks: string[] = [];
    const order: string[] = [];
    let second: Promise<void> | undefined;
    await exclusively(directory, async () => {
      const waits = (lock: string): void => void locks.push(lock);
      second = exclusively(directory, () => Promise.resolve(void order.push('second')), waits);
      await eventually('the second process waits', () => locks.length > 0);
      order.push('first');
    });
    await second;
    expect(order).toEqual(['first', 'second']);
    expect(locks).toEqual([`${directory}.lock`]);
  });
});
