/** Calls a training definition's callbacks with the run's events, one after another. Training neither waits for them nor fails with them. */

import type { Callbacks, CallbackTools, EpochEnd } from '../../api/callbacks.js';
import { onStrayUserError, placeOf } from '../../shared/user-code.js';
import type { RunEvent } from '../../shared/runs/run-events.js';

const scalarName = /^[\w./-]{1,64}$/;

export class CallbackRunner {
  readonly #all: readonly Callbacks[];
  readonly #warn: (message: string) => void;
  readonly #record: (event: Extract<RunEvent, { event: 'scalars' }>) => void;
  #isOver = false;
  #lost = 0;
  readonly #broken = new Set<unknown>();
  readonly #ignoreStrayErrors: () => void;
  #last: Promise<void> = Promise.resolve();
  #stepsPerEpoch = 0;
  #epoch = { epoch: 0, steps: 0, total: 0 };

  /** @param record receives the values that callbacks log, until the run has ended */
  constructor(
    all: readonly Callbacks[],
    warn: (message: string) => void,
    record: (event: Extract<RunEvent, { event: 'scalars' }>) => void = () => undefined,
  ) {
    this.#all = all;
    this.#warn = warn;
    this.#record = record;
    this.#ignoreStrayErrors =
      all.length === 0
        ? () => undefined
        : onStrayUserError((error) => warn(`Callback failed: ${error.message}`));
  }

  emit(event: RunEvent): void {
    if (event.event === 'start') this.#stepsPerEpoch = event.stepsPerEpoch;
    else if (event.event === 'step') this.#step(event);
    else if (event.event === 'eval') this.#call('onEvaluation', event);
    else if (event.event === 'checkpoint') this.#call('onCheckpoint', event);
    else if (event.event === 'done' || event.event === 'error') {
      this.#isOver = true;
      this.#call('onEnd', event);
    }
  }

  #step(event: Extract<RunEvent, { event: 'step' }>): void {
    const { epoch, step, learningRate, loss } = event;
    this.#call('onStep', event);
    if (epoch !== this.#epoch.epoch) this.#epoch = { epoch, steps: 0, total: 0 };
    this.#epoch.steps++;
    this.#epoch.total += loss;
    if (step % this.#stepsPerEpoch !== 0) return;
    const end: EpochEnd = { epoch, step, learningRate, loss: this.#epoch.total / this.#epoch.steps };
    this.#call('onEpochEnd', end);
  }

  /** Resolves when all pending calls have been made. */
  async close(): Promise<void> {
    await this.#last.finally(this.#ignoreStrayErrors);
    if (this.#lost > 0)
      this.#warn(
        `Callbacks logged ${this.#lost} times after the end of the run; these values are not in its log.`,
      );
  }

  #log(step: number, values: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(values)) {
      if (!scalarName.test(name))
        throw new TypeError(
          `log: expected a name of 1 to 64 letters, digits, dots, dashes or slashes, got "${name}"`,
        );
      if (typeof value !== 'number' || !Number.isFinite(value))
        throw new TypeError(`log: expected a finite number for ${name}, got ${String(value)}`);
    }
    if (this.#isOver) this.#lost++;
    else this.#record({ event: 'scalars', step, values: { ...values } });
  }

  #call<Name extends keyof Callbacks>(name: Name, given: Parameters<NonNullable<Callbacks[Name]>>[0]): void {
    const at = 'step' in given ? given.step : 0;
    const tools: CallbackTools = { log: (values, step = at) => this.#log(step, values) };
    for (const callbacks of this.#all) {
      const callback = callbacks[name] as
        ((given: unknown, tools: CallbackTools) => void | Promise<void>) | undefined;
      if (!callback) continue;
      this.#last = this.#last.then(async () => {
        if (this.#broken.has(callback)) return;
        try {
          await callback.call(callbacks, given, tools);
        } catch (error) {
          this.#broken.add(callback);
          const reason = error instanceof Error ? error.message : String(error);
          this.#warn(`Callback ${name} failed and is not called again: ${reason}${placeOf(error)}`);
        }
      });
    }
  }
}
