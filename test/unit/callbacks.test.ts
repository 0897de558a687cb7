import { expect, it } from 'vitest';
import type { Callbacks } from '../../src/api/callbacks.js';
import { CallbackRunner } from '../../src/cli/reporters/callback-runner.js';
import type { RunEvent } from '../../src/shared/runs/run-events.js';

const step = (number: number, loss: number): RunEvent => ({
  event: 'step',
  epoch: Math.ceil(number / 2),
  step: number,
  loss,
  learningRate: 0.1 / number,
  imagesPerSecond: 1,
  seconds: 1,
  samples: 1,
});
const events: RunEvent[] = [
  { event: 'start', epochs: 2, steps: 4, stepsPerEpoch: 2, parameters: 1, dataSha256: '' },
  step(1, 4),
  step(2, 2),
  {
    event: 'eval',
    split: 'test',
    epoch: 1,
    step: 2,
    loss: 1,
    metrics: { accuracy: 0.5 },
    accuracy: 0.5,
    correct: 1,
    count: 2,
  },
  step(3, 1),
  step(4, 3),
  { event: 'done', steps: 4, seconds: 1, imagesPerSecond: 1, weightsSha256: '' },
];

async function run(callbacks: readonly Callbacks[]): Promise<string[]> {
  const warnings: string[] = [];
  const runner = new CallbackRunner(callbacks, (message) => warnings.push(message));
  for (const event of events) runner.emit(event);
  await runner.close();
  return warnings;
}

it('callbacks log values of their own for a step, until the run has ended', async () => {
  const logged: RunEvent[] = [];
  const warnings: string[] = [];
  const runner = new CallbackRunner(
    [
      {
        onStep: ({ loss }, { log }) => log({ 'my/square': loss * loss }),
        onEvaluation: ({ loss }, { log }) => log({ gap: loss - 2 }, 7),
      },
      { onEpochEnd: (_, { log }) => log({ 'a name': 1 }) },
      { onEpochEnd: (_, { log }) => log({ share: 0 / 0 }) },
    ],
    (message) => warnings.push(message),
    (event) => logged.push(event),
  );
  for (const event of events.slice(0, 5)) {
    runner.emit(event);
    await new Promise((resolve) => setImmediate(resolve));
  }
  // The callback of the last step is called when the run has ended.
  for (const event of events.slice(5)) runner.emit(event);
  await runner.close();
  const scalars = (step: number, values: Record<string, number>) => ({ event: 'scalars', step, values });
  expect(logged).toEqual([
    scalars(1, { 'my/square': 16 }),
    scalars(2, { 'my/square': 4 }),
    scalars(7, { gap: -1 }),
    scalars(3, { 'my/square': 1 }),
  ]);
  expect(warnings).toEqual([
    expect.stringMatching(/^Callback onEpochEnd failed .*log: expected a name of 1 to 64 letters.*"a name"/),
    expect.stringMatching(/^Callback onEpochEnd failed .*log: expected a finite number for share, got NaN/),
    'Callbacks logged 1 times after the end of the run; these values are not in its log.',
  ]);
});

it('callbacks are called in the order of the events, each after the one before has resolved', async () => {
  const calls: string[] = [];
  const slow = async (text: string): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    calls.push(text);
  };
  const warnings = await run([
    {
      onStep: ({ step: number }) => slow(`step ${number}`),
      onEpochEnd: ({ epoch, loss, step: last }) => void calls.push(`epoch ${epoch}, step ${last}: ${loss}`),
      onEvaluation: ({ metrics }) => slow(`accuracy ${metrics['accuracy'] ?? ''}`),
      onEnd: ({ event }) => void calls.push(event),
    },
  ]);
  expect(calls).toEqual([
    'step 1',
    'step 2',
    'epoch 1, step 2: 3',
    'accuracy 0.5',
    'step 3',
    'step 4',
    'epoch 2, step 4: 2',
    'done',
  ]);
  expect(warnings).toEqual([]);
});

it('a callback that throws is reported once and not called again, and the others are still called', async () => {
  let [failed, ended] = [0, 0];
  const warnings = await run([
    {
      onStep: () => {
        failed++;
        throw new Error('no disk');
      },
    },
    {
      onEnd: () => {
        ended++;
      },
    },
  ]);
  expect([failed, ended]).toEqual([1, 1]);
  expect(warnings).toEqual([
    expect.stringMatching(
      /^Callback onStep failed and is not called again: no disk \(.*callbacks\.test\.ts:\d+\)$/,
    ),
  ]);
});
