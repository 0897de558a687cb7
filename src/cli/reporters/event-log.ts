/** Writes `config.json` and `events.ndjson` in the run's folder. */

import { createWriteStream, existsSync, mkdirSync, writeFileSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { eventsName } from '../../shared/runs/read-events.js';
import type { TimedEvent } from '../../shared/runs/run-events.js';

/**
 * Creates the run's folder and its event log.
 * @param append true to keep the events that are in the log
 * @throws ConfigError if the folder cannot be written
 */
export function openEventLog(
  out: string,
  append = false,
): { emit: (event: TimedEvent) => void; close: () => Promise<void> } {
  let stream: WriteStream;
  try {
    mkdirSync(out, { recursive: true });
    const file = join(out, eventsName);
    if (!append) writeFileSync(file, '');
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
  return {
    emit: (event) => {
      if (event.event === 'run') config = `${JSON.stringify(event.config, null, 2)}\n`;
      // A resumed run that is refused, for example because of other data, leaves the configuration as it was.
      if (config !== '' && (event.event === 'start' || (event.event === 'run' && !existsSync(file)))) {
        writeFileSync(file, config);
      }
      if (!broken) stream.write(`${JSON.stringify(event)}\n`);
    },
    close: () => new Promise((done) => (broken ? done() : stream.end(done))),
  };
}
