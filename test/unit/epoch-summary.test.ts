import { expect, it } from 'vitest';
import { EventFormatter } from '../../src/cli/reporters/event-formatter.js';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { runEvent, startEvent, stepEvent } from '../support/run-events.js';

const start = { ...startEvent(), epochs: 2, steps: 4, stepsPerEpoch: 2 };
const step = (n: number, loss: number, seconds: number) =>
  stepEvent(n, { epoch: n > 2 ? 2 : 1, loss, seconds });
const evaluation = (n: number): RunEvent => ({
  event: 'eval',
  split: 'test',
  epoch: n / 2,
  step: n,
  loss: 0.125,
  metrics: { accuracy: 0.75, f1: 0.5 },
  accuracy: 0.75,
  correct: 3,
  count: 4,
});
const done: RunEvent = {
  event: 'done',
  steps: 4,
  seconds: 1,
  imagesPerSecond: 1,
  weightsSha256: '0'.repeat(64),
};

function linesOf(events: readonly RunEvent[]): string[] {
  const formatter = new EventFormatter({ withRate: true });
  return events.flatMap((event) => formatter.format(event)).map(({ text }) => text);
}
const epochs = (events: readonly RunEvent[]): string[] =>
  linesOf(events).filter((text) => text.startsWith('Epoch '));

it('is one line per epoch, with the evaluation after its last step', () => {
  const events = [
    runEvent(),
    start,
    step(1, 4, 1.5),
    step(2, 2, 0.5),
    evaluation(2),
    step(3, 1, 0.01),
    step(4, 0.5, 0.02),
    evaluation(4),
    done,
  ];
  expect(epochs(events)).toEqual([
    'Epoch 1/2 - 2 steps in 2 s - 1000 ms/step - loss: 3.0000 - val_loss: 0.1250 - val_accuracy: 0.7500 - val_f1: 0.5000',
    'Epoch 2/2 - 2 steps in 0 s - 15 ms/step - loss: 0.7500 - val_loss: 0.1250 - val_accuracy: 0.7500 - val_f1: 0.5000',
  ]);
  const lines = linesOf(events);
  expect(lines.indexOf(epochs(events)[0] ?? '')).toBe(
    lines.findIndex((text) => text.startsWith('Test set, epoch 1')) + 1,
  );
});

it('has the loss of the training alone if no evaluation follows the epoch', () => {
  const events = [start, step(1, 4, 1.5), step(2, 2, 0.5), step(3, 1, 0.01), step(4, 0.5, 0.02), done];
  expect(epochs([runEvent(), ...events])).toEqual([
    'Epoch 1/2 - 2 steps in 2 s - 1000 ms/step - loss: 3.0000',
    'Epoch 2/2 - 2 steps in 0 s - 15 ms/step - loss: 0.7500',
  ]);
});

it('has the steps since the checkpoint if the run resumed within the epoch, and no line for an incomplete epoch', () => {
  expect(epochs([runEvent(), start, step(2, 2, 0.5), evaluation(2), step(3, 1, 0.1), done])).toEqual([
    'Epoch 1/2 - 1 step in 1 s - 500 ms/step - loss: 2.0000 - val_loss: 0.1250 - val_accuracy: 0.7500 - val_f1: 0.5000',
  ]);
});
