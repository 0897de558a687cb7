/**
 * Writes `config.json` and `events.ndjson` in the run's folder. The events of a resumed run are held back until training starts, so that
 * a start that is refused, for example because of other data, leaves the run and its outcome as they were.
 */

import { createWriteStream, existsSync, mkdirSync, writeFileSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { eventsName } from '../../shared/runs/read-events.js';
import type { TimedEvent } from '../../shared/runs/run-events.js';

/**
 * `append` keeps the events that are in the log. `resume` keeps them as well, and adds others once training starts. A takeover of a
 * run appends, because its workers may be training already.
 */
export type LogMode = 'new' | 'append' | 'resume';

/**
 * Creates the run's folder and its event log.
 * @throws ConfigError if the folder cannot be written
 */
export function openEventLog(
  out: string,
  mode: LogMode = 'new',
): { emit: (event: TimedEvent) => void; close: () => Promise<void> } {
  let stream: WriteStream;
  /** Lines that are not written yet; undefined once lines are written at once. */
  let held: string[] | undefined;
  try {
    mkdirSync(out, { recursive: true });
    const file = join(out, eventsName);
    if (mode === 'new') writeFileSync(file, '');
    // Without a log there is no earlier run in the folder, and a refused start is the outcome of this one.
    if (mode === 'resume' && existsSync(file)) held = [];
    stream = createWriteStream(file, { flags: 'a' });
  } catch (cause) {
    throw new ConfigError(
      `Folder ${out} can't be written (${systemCode(cause) ?? String(cause)}). Choose another one with --out.`,
      { out },
      cause,
    );
  }
  const file = join(out, 'config.json');
  let config = '';
  let broken: Error | undefined;
  // A full disk must not end the training: the log stops, with one message on stderr.
  stream.on('error', (error) => {
    if (!broken) process.stderr.write(`The event log in ${out} stops: ${error.message}\n`);
    broken = error;
  });
  const write = (line: string): void => {
    if (!broken) stream.write(line);
  };
  return {
    emit: (event) => {
      if (event.event === 'run') config = `${JSON.stringify(event.config, null, 2)}\n`;
      // A resumed run that is refused, for example because of other data, leaves the configuration as it was.
      if (config !== '' && (event.event === 'start' || (event.event === 'run' && !existsSync(file)))) {
        writeFileSync(file, config);
      }
      const line = `${JSON.stringify(event)}\n`;
      if (event.event === 'start' || event.event === 'done') {
        held?.forEach(write);
        held = undefined;
      }
      if (held) held.push(line);
      else write(line);
    },
    close: () => new Promise((done) => (broken ? done() : stream.end(done))),
  };
}
