import { appendFile, rename, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LogFollower } from '../../src/shared/runs/log-follower.js';
import { eventsName } from '../../src/shared/runs/read-events.js';
import { summarizeRun } from '../../src/shared/runs/run-list.js';
import { temporaryFolder } from '../support/lockstep.js';

const step = (number: number): string =>
  `${JSON.stringify({ event: 'step', step: number, imagesPerSecond: 1, timeMs: number })}\n`;

describe('the follower of a log', () => {
  it('reads each event once, leaves an incomplete line, and starts again with another file', async () => {
    const run = await temporaryFolder();
    const log = join(run, eventsName);
    const follower = new LogFollower(run, ['status']);
    const found: unknown[] = [];
    const read = () =>
      follower.read(
        (event) => found.push(event.event === 'step' ? event.step : event.event),
        () => found.push('restart'),
      );
    await expect(read()).rejects.toMatchObject({ code: 'ENOENT' });
    await writeFile(log, `${step(1)}{"event":"status"}\nno event\n${step(2)}${step(3).slice(0, 20)}`);
    await read();
    expect(found.splice(0)).toEqual(['restart', 1, 2]);
    await appendFile(log, step(3).slice(20) + step(4));
    await read();
    await read();
    expect(found.splice(0)).toEqual([3, 4]);
    await truncate(log, step(1).length);
    await read();
    expect(found.splice(0)).toEqual(['restart', 1]);
    await writeFile(join(run, 'other'), step(7));
    await rename(join(run, 'other'), log);
    await read();
    expect(found).toEqual(['restart', 7]);
  });

  it('reads characters that two reads of the file divide', async () => {
    const run = await temporaryFolder();
    const message = 'é'.repeat(100_000);
    await writeFile(join(run, eventsName), `${JSON.stringify({ event: 'warning', message })}\n`);
    const found: unknown[] = [];
    await new LogFollower(run).read(
      (event) => found.push(event),
      () => undefined,
    );
    expect(found).toEqual([{ event: 'warning', message, timeMs: 0 }]);
  });
});

describe('the summary of a run', () => {
  it('follows a growing log, also for requests at the same time', async () => {
    const run = await temporaryFolder();
    const log = join(run, eventsName);
    const generation = `${JSON.stringify({ event: 'generation', reason: 'membership', timeMs: 1 })}\n`;
    await writeFile(log, step(1) + generation);
    expect(await summarizeRun(run)).toMatchObject({ steps: 1, recoveries: 1 });
    await appendFile(log, step(2) + generation);
    const [a, b] = await Promise.all([summarizeRun(run), summarizeRun(run)]);
    expect(a).toMatchObject({ steps: 2, recoveries: 2 });
    expect(b).toEqual(a);
  });
});
