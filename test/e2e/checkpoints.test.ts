import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { ElasticRun, endless, stepsIn, training, undisturbed, weightsOf } from '../support/elastic-run.js';
import { onWasm } from '../support/engines.js';
import { Lockstep, lockstep, temporaryFolder, type Ended } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

const epochs = 200;

describe('--checkpoint-every and --resume', () => {
  let config = '';
  const fresh = (...options: readonly string[]): string[] => [
    'train',
    '--config',
    config,
    '--epochs',
    String(epochs),
    ...training,
    ...options,
  ];

  beforeEach(async () => {
    ({ config } = await writeSmallTraining(await temporaryFolder()));
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s writes a checkpoint and ends with status %i', async (signal, expected) => {
    const out = join(await temporaryFolder(), 'run');
    const run = new Lockstep([
      'train',
      '--config',
      config,
      '--workers',
      '2',
      '--evaluate',
      'none',
      '--out',
      out,
      ...training,
      ...endless,
    ]);
    await run.event('step', ({ step }) => step >= 21);
    run.kill(signal);
    const { status, events } = await run.ended;
    expect(status).toBe(expected);
    const last = stepsIn(events).at(-1) ?? 0;
    const checkpoint = events.findLast((event) => event.event === 'checkpoint');
    expect(checkpoint?.step).toBe(last);
    expect(events.at(-1)).toMatchObject({ event: 'error', code: 'INTERRUPTED' });
    const end = last + 21;
    const args = [
      '--config',
      config,
      '--resume',
      checkpoint?.path ?? '',
      '--max-steps',
      String(end),
      '--single-process',
      '--json',
    ];
    expect(weightsOf(await lockstep(['train', ...args]))).toBe(await undisturbed(end));
  });

  it('a run that is interrupted during an evaluation ends at once with the checkpoint that it has already written', async () => {
    const out = join(await temporaryFolder(), 'run');
    const often = ['--evaluate', 'test', '--evaluate-every', '10steps', '--checkpoint-every', '10steps'];
    const small = [
      'train',
      '--config',
      'examples/small/lockstep.config.ts',
      '--workers',
      '2',
      '--threads',
      '1',
    ];
    const run = new Lockstep([...small, ...often, '--out', out, '--json']);
    // It goes on with ten thousand pictures.
    const { step } = await run.event('checkpoint');
    run.kill('SIGINT');
    const { status, events, stderr } = await run.ended;
    expect(status, stderr).toBe(130);
    expect([step, stepsIn(events).at(-1)]).toEqual([10, 10]);
    expect(events.at(-1)).toMatchObject({
      code: 'INTERRUPTED',
      message: expect.stringMatching(/step-0+10$/) as string,
    });
  });

  it('a run that loses all workers at once continues from the last checkpoint', async () => {
    const run = await ElasticRun.start('--workers', '2', '--checkpoint-every', '10steps');
    await run.launcher.event('checkpoint', ({ step }) => step >= 50);
    run.kill('SIGKILL', 0, 1);
    await run.next(({ workers }) => workers.length === 2);
    // Steps after the checkpoint were lost with the workers. An interrupt before they are repeated would end the run with status 1.
    const lost = run.launcher.events.findLast((event) => event.event === 'step')?.step ?? 0;
    await run.at(lost + 1);
    await run.expectUndisturbed();
  });

  it.skipIf(onWasm)('a checkpoint that cannot be written stops no training, and is said once', async () => {
    const out = join(await temporaryFolder(), 'run');
    await mkdir(out, { recursive: true });
    await writeFile(join(out, 'checkpoints'), 'in the way');
    const run = await lockstep(
      fresh('--workers', '2', '--evaluate', 'none', '--checkpoint-every', '5steps', '--out', out),
    );
    expect(weightsOf(run)).toBe(await undisturbed(2 * epochs));
    const warnings = run.events.filter((event) => event.event === 'warning');
    expect(warnings).toMatchObject([
      {
        event: 'warning',
        message: expect.stringMatching(
          /^Checkpoint of step \d+ can't be written to .*ENOTDIR|EEXIST/,
        ) as string,
      },
    ]);
  });

  it.skipIf(onWasm)('a folder that vanishes is made again', async () => {
    const out = join(await temporaryFolder(), 'run');
    const run = new Lockstep(
      fresh('--workers', '1', '--evaluate', 'none', '--checkpoint-every', '5steps', '--out', out),
    );
    await run.event('checkpoint', ({ step }) => step >= 20);
    // A checkpoint may be in the middle of being written there.
    await rm(join(out, 'checkpoints'), { recursive: true, force: true, maxRetries: 10 });
    expect(weightsOf(await run.ended)).toBe(await undisturbed(2 * epochs));
    const { events } = run;
    expect(events.findLast((event) => event.event === 'checkpoint')?.step).toBe(2 * epochs);
  });

  it.skipIf(onWasm).each([
    ['tensorflow', 'wasm'],
    ['wasm', 'tensorflow'],
  ])('a checkpoint of %s goes on with %s, which says that the roundings are others', async (then, now) => {
    const out = join(await temporaryFolder(), 'run');
    const options = [
      '--engine',
      then,
      '--workers',
      '1',
      '--checkpoint-every',
      '30steps',
      '--evaluate',
      'none',
    ];
    const first = await lockstep(fresh(...options, '--max-steps', '34', '--out', out));
    expect(first.status, first.stderr).toBe(0);
    const place = join(out, 'checkpoints', 'step-000000030');
    const rest = await lockstep([
      'train',
      '--config',
      config,
      '--resume',
      place,
      '--engine',
      now,
      '--max-steps',
      '34',
      '--json',
    ]);
    expect(rest.status, rest.stderr).toBe(0);
    const losses = ({ events }: Ended): number[] =>
      events.flatMap((event) => (event.event === 'step' && event.step > 30 ? [event.loss] : []));
    expect(losses(rest)).toHaveLength(4);
    losses(rest).forEach((loss, i) => expect(loss / (losses(first)[i] ?? 0)).toBeCloseTo(1, 5));
    const warnings = rest.events.filter((event) => event.event === 'warning');
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringMatching(/another engine.*different rounding/) as string,
    ]);
  });

  it.skipIf(onWasm)(
    'refuses settings that would make another run of it, and folders without a checkpoint',
    async () => {
      const out = join(await temporaryFolder(), 'run');
      await lockstep(
        fresh('--workers', '2', '--max-steps', '4', '--checkpoint-every', '2steps', '--out', out),
      );
      const other = await lockstep([
        'train',
        '--config',
        config,
        '--resume',
        out,
        '--seed',
        '9',
        '--shards',
        '4',
      ]);
      expect(other.status).toBe(2);
      expect(other.stderr).toMatch(/--resume: .*got others: seed: 1 then, 9 now; shards: 6 then, 4 now/);
      const none = await lockstep(['train', '--resume', await temporaryFolder()]);
      expect(none.status).toBe(2);
      expect(none.stderr).toMatch(/No checkpoint in .* can be used/);
    },
  );
});
