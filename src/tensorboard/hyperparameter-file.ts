/**
 * Writes a run's hyperparameters and its outcome to an event file of their own. TensorBoard keeps the first description of a run that it
 * reads, so a resumed run replaces the file: it may have another configuration and another outcome.
 */

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TimedEvent } from '../shared/runs/run-events.js';
import { EventFile, type EventFileOptions } from './event-file.js';
import { hyperparametersOf } from './hyperparameters.js';

const suffix = '.hparams';

export class HyperparameterFile {
  readonly #file: EventFile;

  /** Removes the file of an earlier process. @throws ConfigError if the file cannot be written now */
  constructor(options: EventFileOptions) {
    this.#file = new EventFile({ ...options, suffix });
    for (const name of readdirSync(options.directory)) {
      const path = join(options.directory, name);
      if (name.endsWith(suffix) && path !== this.#file.path) rmSync(path, { force: true });
    }
  }

  emit(event: TimedEvent): void {
    const value = hyperparametersOf(event);
    if (value) this.#file.write(event.timeMs, 0, { summary: { value: [value] } }, { essential: true });
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
