/** Calls a training definition's callbacks with the run's events, one after another. Training neither waits for them nor fails with them. */

import type { Callbacks, EpochEnd } from '../../api/callbacks.js';
import { onStrayUserError, placeOf } from '../../shared/user-code.js';
import type { RunEvent } from '../../shared/runs/run-events.js';

export class CallbackRunner {
  readonly #all: readonly Callbacks[];
  readonly #warn: (message: string) => void;
  readonly #broken = new Set<unknown>();
  readonly #ignoreStrayErrors: () => void;
  #last: Promise<void> = Promise.resolve();
  #stepsPerEpoch = 0;
  #epoch = { epoch: 0, steps: 0, total: 0 };

  constructor(all: readonly Callbacks[], warn: (message: string) => void) {
    this.#all = all;
    this.#warn = warn;
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
    else if (event.event === 'done' || event.event === 'error') this.#call('onEnd', event);
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
  close(): Promise<void> {
    return this.#last.finally(this.#ignoreStrayErrors);
  }

  #call<Name extends keyof Callbacks>(name: Name, given: Parameters<NonNullable<Callbacks[Name]>>[0]): void {
    for (const callbacks of this.#all) {
      const callback = callbacks[name] as ((given: unknown) => void | Promise<void>) | undefined;
      if (!callback) continue;
      this.#last = this.#last.then(async () => {
        if (this.#broken.has(callback)) return;
        try {
          await callback.call(callbacks, given);
        } catch (error) {
          this.#broken.add(callback);
          const reason = error instanceof Error ? error.message : String(error);
          this.#warn(`Callback ${name} failed and is not called again: ${reason}${placeOf(error)}`);
        }
      });
    }
  }
}
