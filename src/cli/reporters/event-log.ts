/**
 * Writes `config.json` and `events.ndjson` in the run's folder. The events of a resumed run are held back until training starts, so that
 * a start that is refused, for example because of other data, leaves the run and its outcome as they were.
 */

import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { AppendingFile, type Gap } from '../../shared/files/appending-file.js';
import { ReplacedFile } from '../../shared/files/replaced-file.js';
import { eventsName } from '../../shared/runs/read-events.js';
import type { RunEvent, TimedEvent } from '../../shared/runs/run-events.js';

/**
 * Both keep the events that are in the log. `append` adds events at once: to a new log, or in a takeover of a run, whose workers may be
 * training already. `resume` adds them once training starts.
 */
export type LogMode = 'append' | 'resume';

/** Frequent events, of which a log may lack some. */
const droppable: readonly RunEvent['event'][] = [
  'step',
  'status',
  'histograms',
  'misclassified',
  'confusion',
  'scalars',
];

const lineOf = (event: TimedEvent): string => `${JSON.stringify(event)}\n`;

const gapLine = ({ records, fromMs }: Gap): string =>
  lineOf({ event: 'gap', lines: records, fromMs, timeMs: Date.now() });

export interface EventLog {
  emit(event: TimedEvent): void;
  close(): Promise<void>;
}

/**
 * Creates the run's folder and its event log.
 * @param warn receives a message if a file cannot be written later; the event log then continues as soon as it can be written
 * @throws ConfigError if the folder cannot be written now
 */
export function openEventLog(out: string, mode: LogMode, warn: (message: string) => void): EventLog {
  const path = join(out, eventsName);
  const log = new AppendingFile({
    path,
    name: 'Event log',
    format: { incompleteEnd: 'terminate', gap: gapLine },
    mode: 'append',
    notify: warn,
  });
  /** Lines that are not written yet; undefined once lines are written at once. */
  let held: TimedEvent[] | undefined;
  try {
    mkdirSync(out, { recursive: true });
    // Without a log there is no earlier run in the folder, and a refused start is the outcome of this one.
    if (mode === 'resume' && existsSync(path)) held = [];
    log.create();
  } catch (cause) {
    throw new ConfigError(
      `Folder ${out} can't be written (${systemCode(cause) ?? String(cause)}). Choose another one with --out.`,
      { out },
      cause,
    );
  }
  const configPath = join(out, 'config.json');
  const configFile = new ReplacedFile(configPath, 'Config', warn);
  let config = '';
  const write = (event: TimedEvent): void =>
    log.append(lineOf(event), { essential: !droppable.includes(event.event) });
  return {
    emit: (event) => {
      if (event.event === 'run') config = `${JSON.stringify(event.config, null, 2)}\n`;
      // A resumed run that is refused, for example because of other data, leaves the configuration as it was.
      if (config !== '' && (event.event === 'start' || (event.event === 'run' && !existsSync(configPath)))) {
        configFile.write(config);
      }
      if (event.event === 'start' || event.event === 'done') {
        held?.forEach(write);
        held = undefined;
      }
      if (held) held.push(event);
      else write(event);
    },
    close: async () => {
      await Promise.all([log.close(), configFile.close()]);
    },
  };
}
