/** Reads a run's event log, event by event. A line that is not an event (a writer died in it) is skipped. */

import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { RunEvent, TimedEvent } from './run-events.js';

export const eventsName = 'events.ndjson';

/** Frequent events that no summary needs. */
export const bulky: readonly RunEvent['event'][] = [
  'status',
  'misclassified',
  'confusion',
  'histograms',
  'model',
  'scalars',
];

/**
 * @param skip kinds of events that are not parsed, which makes long logs fast to read; events of logs from before events had
 * a time have time 0
 * @throws the file system's error if there is no log
 */
export async function* readEvents(
  run: string,
  skip: readonly RunEvent['event'][] = [],
): AsyncGenerator<TimedEvent> {
  const starts = startsOf(skip);
  for await (const line of createInterface({ input: createReadStream(join(run, eventsName)) })) {
    if (starts.some((start) => line.startsWith(start))) continue;
    const event = parseEvent(line);
    if (event) yield event;
  }
}

/** Returns how the lines of these events start. */
export const startsOf = (kinds: readonly RunEvent['event'][]): readonly string[] =>
  kinds.map((name) => `{"event":"${name}"`);

/** Returns undefined if the line is no event. */
export function parseEvent(line: string): TimedEvent | undefined {
  try {
    const value = JSON.parse(line) as Partial<TimedEvent> | null;
    return typeof value?.event === 'string' ? ({ timeMs: 0, ...value } as TimedEvent) : undefined;
  } catch {
    return undefined;
  }
}
