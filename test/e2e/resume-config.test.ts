import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { range, stepsIn } from '../support/elastic-run.js';
import { Lockstep, lockstep, temporaryFolder, type Ended } from '../support/lockstep.js';
import { tinyOptions, writeTinyTraining } from '../support/tiny-training.js';

const of = <Name extends RunEvent['event']>({ events }: Pick<Ended, 'events'>, name: Name) =>
  events.filter((event): event is Extract<RunEvent, { event: Name }> => event.event === name);

const changes = (run: Ended): [string, unknown, unknown, number][] =>
  of(run, 'changed').map(({ field, before, now, step }) => [field, before, now, step]);

/** A run of 4 of 8 steps in `RUN`, and a function that resumes it in another folder. */
async function cut(extra = '') {
  const cwd = await temporaryFolder();
  await writeTinyTraining(cwd, extra);
  const first = await lockstep(['train', ...tinyOptions, '--max-steps', '4', '--out', 'RUN'], { cwd });
  expect(first.status, first.stderr).toBe(0);
  let number = 2;
  const resume = (env: Readonly<Record<string, string>> = {}, ...options: readonly string[]) =>
    lockstep(['train', '--resume', 'RUN', '--out', `RUN${number++}`, '--json', ...options], { cwd, env });
  return { cwd, resume };
}

describe('a resumed run whose definition or options differ from its checkpoint', () => {
  it('applies each change, logs it, and trains with it; the step limit that was reached is lifted', async () => {
    const { cwd, resume } = await cut();
    const { status, stderr, events } = await resume({ RATE: '0.005', EPOCHS: '8' });
    expect(status, stderr).toBe(0);
    const run = { events } as Ended;
    expect(changes(run)).toEqual([
      ['epochs', 4, 8, 4],
      ['maxSteps', 4, null, 4],
      ['optimizer.learningRate', 0.01, 0.005, 4],
    ]);
    // The schedule is constant.
    expect(of(run, 'step').map(({ step, learningRate }) => [step, learningRate])).toEqual(
      range(5, 16).map((step) => [step, 0.005]),
    );
    expect(JSON.parse(await readFile(join(cwd, 'RUN2', 'config.json'), 'utf8'))).toMatchObject({
      epochs: 8,
      shards: 2,
      optimizer: { learningRate: 0.005 },
    });
    const text = new Lockstep(['train', '--resume', 'RUN', '--out', 'RUN9', '--epochs', '3'], { cwd });
    expect((await text.ended).stderr).toMatch(/^Changed: epochs 4 -> 3 from step 4$/m);
  });

  it('keeps the options of the first start, and is exactly the undisturbed run if nothing differs', async () => {
    const cwd = await temporaryFolder();
    await writeTinyTraining(cwd);
    const train = (...more: readonly string[]) =>
      lockstep(['train', ...tinyOptions, '--epochs', '5', ...more], { cwd });
    const whole = await train('--out', 'whole');
    expect((await train('--max-steps', '4', '--out', 'RUN')).status).toBe(0);
    const rest = await lockstep(['train', '--resume', 'RUN', '--json'], { cwd });
    expect(changes(rest)).toEqual([['maxSteps', 4, null, 4]]);
    expect(stepsIn(rest.events)).toEqual(range(5, 10));
    expect(of(rest, 'done')[0]?.weightsSha256).toBe(of(whole, 'done')[0]?.weightsSha256);
    expect(of(rest, 'warning')).toEqual([]);
  });

  it('is refused by name if the training state or the order of samples would not fit', async () => {
    const { resume } = await cut();
    for (const [env, options, message] of [
      [{ BATCH: '4' }, [], /batchSize: 8 then, 4 now/],
      [{}, ['--seed', '9'], /seed: 1 then, 9 now.*--fresh/],
      [{}, ['--shards', '4'], /shards: 2 then, 4 now/],
    ] as const) {
      const { status, stderr } = await resume(env, ...options);
      expect(status).toBe(2);
      expect(stderr).toMatch(message);
    }
  });

  it('is refused for other data, which are named, unless --allow-other-data is given', async () => {
    const { cwd, resume } = await cut();
    const before = await readFile(join(cwd, 'RUN', 'config.json'), 'utf8');
    for (const [env, message] of [
      [
        { N: '40' },
        /Error \(DATA\)|with 16 training and 4 test samples.*with 40 training and 4 test samples.*--allow-other-data/,
      ],
      [{ VERSION: '2' }, /"points" with 16 training.*SHA-256 fcba0ef9258d….*SHA-256 (?!fcba)/],
    ] as const) {
      const refused = await resume(env);
      expect(refused.status).toBe(2);
      expect(of(refused, 'error')[0]?.message).toMatch(message);
    }
    const same = await lockstep(['train', '--resume', 'RUN', '--out', 'RUN', '--json'], {
      cwd,
      env: { N: '40', RATE: '1' },
    });
    expect(same.status).toBe(2);
    expect(await readFile(join(cwd, 'RUN', 'config.json'), 'utf8')).toBe(before);

    const allowed = await resume({ N: '24' }, '--allow-other-data');
    expect(allowed.status, allowed.stderr).toBe(0);
    expect(changes(allowed)).toEqual([
      ['maxSteps', 4, null, 4],
      [
        'data',
        expect.stringMatching(/^points of 16 \+ 4 samples/),
        expect.stringMatching(/^24 \+ 4 samples, SHA-256 /),
        4,
      ],
    ]);
    // 24 samples in batches of 8: three steps in each of four epochs.
    expect(stepsIn(allowed.events)).toEqual(range(5, 12));
  });

  it('is refused for another model, whose layers are named', async () => {
    const { cwd, resume } = await cut();
    const file = join(cwd, 'lockstep.config.js');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('units: 3,', "units: 3, activation: 'tanh',"));
    const refused = await resume();
    expect(refused.status).toBe(2);
    expect(of(refused, 'error')[0]).toMatchObject({
      code: 'MODEL',
      message: expect.stringMatching(/got one that differs in layer "dense_Dense1" \(Dense\)/) as string,
    });
  });

  it('warns about functions whose source is another', async () => {
    const { cwd, resume } = await cut('augment: [({ inputs }) => { inputs[0][0] += 0.1; }],');
    const file = join(cwd, 'lockstep.config.js');
    await writeFile(file, (await readFile(file, 'utf8')).replace('+= 0.1', '+= 0.2'));
    const run = await resume();
    expect(run.status, run.stderr).toBe(0);
    expect(of(run, 'warning').map(({ message }) => message)).toEqual([
      expect.stringMatching(/other functions than in the run: augment 1/),
    ]);
  });

  it('says which values of the definition have no effect, because an option set them or there is no record', async () => {
    const { cwd, resume } = await cut();
    const epochs = await lockstep(
      ['train', '--resume', 'RUN', '--out', 'A', '--epochs', '6', '--max-steps', '5', '--json'],
      { cwd },
    );
    expect(epochs.status, epochs.stderr).toBe(0);
    const kept = await lockstep(['train', '--resume', 'A', '--out', 'B', '--json'], {
      cwd,
      env: { EPOCHS: '9' },
    });
    expect(of(kept, 'warning').map(({ message }) => message)).toEqual([
      expect.stringMatching(/^epochs: .* has 9, and the run keeps 6, which an option/),
    ]);
    expect(stepsIn(kept.events)).toEqual(range(6, 12));
    await rm(join(cwd, 'RUN', 'definition'), { recursive: true });
    const unknown = await resume({ RATE: '1' });
    expect(of(unknown, 'warning').map(({ message }) => message)).toEqual([
      expect.stringMatching(/^optimizer: .*"learningRate":1\b.* the run keeps .*0\.01.* no record/),
    ]);
  });
});
