/** Where a run's events go: the run's folder, and stdout as JSON or stderr for people. */

import type { RunEvent } from '../../shared/run-events.js';
import { openEventLog } from './event-log.js';
import { HumanReporter } from './human.js';

export interface Reporters {
  emit(event: RunEvent): void;
  /** Resolves when everything is on disk. */
  close(): Promise<void>;
}

/** @throws ConfigError when the folder can't be written. */
export function openReporters(options: { out: string; json: boolean }): Reporters {
  const log = openEventLog(options.out);
  const human = options.json ? undefined : new HumanReporter({ stream: process.stderr });
  return {
    emit: (event) => {
      log.emit(event);
      if (options.json) process.stdout.write(`${JSON.stringify(event)}\n`);
      human?.emit(event);
    },
    close: async () => {
      human?.close();
      await log.close();
    },
  };
}
