/** Where a run's events go: the run's folder, and stdout as JSON or stderr for people. */

import type { FoundCheckpoint } from '../../shared/checkpoint/checkpoint.js';
import type { RunEvent } from '../../shared/run-events.js';
import { openEventLog } from './event-log.js';
import { HumanReporter } from './human.js';

export interface Reporters {
  emit(event: RunEvent): void;
  /** Resolves when everything is on disk. */
  close(): Promise<void>;
}

/** @throws ConfigError when the folder can't be written. */
export function openReporters(options: {
  out: string;
  json: boolean;
  resume: FoundCheckpoint | null;
  /** Goes on with the log that is there, as a resumed run does. */
  append?: boolean;
}): Reporters {
  const { resume } = options;
  const log = openEventLog(options.out, resume !== null || options.append === true);
  const human = options.json ? undefined : new HumanReporter({ stream: process.stderr });
  const reporters: Reporters = {
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
  if (resume) {
    const { path, skipped, manifest } = resume;
    reporters.emit({ event: 'resumed', step: manifest.step, path, skipped });
  }
  return reporters;
}
