/** A run's event log, event by event. A line that isn't one (the one in which a writer died) is passed over. */

import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { RunEvent, TimedEvent } from './run-events.js';

export const eventsName = 'events.ndjson';

/** Events that no summary needs, and that a long log is full of. */
export const bulky: readonly RunEvent['event'][] = ['status', 'misclassified', 'histograms', 'model'];

/**
 * @param skip kinds of events that aren't parsed at all, which makes long logs quick to read; logs written before events had
 * a time give 0 for it
 * @throws what the file system says when there is no log
 */
export async function* readEvents(
  run: string,
  skip: readonly RunEvent['event'][] = [],
): AsyncGenerator<TimedEvent> {
  const starts = skip.map((name) => `{"event":"${name}"`);
  for await (const line of createInterface({ input: createReadStream(join(run, eventsName)) })) {
    if (starts.some((start) => line.startsWith(start))) continue;
    const event = parse(line);
    if (event) yield event;
  }
}

function parse(line: string): TimedEvent | undefined {
  try {
    const value = JSON.parse(line) as Partial<TimedEvent> | null;
    return typeof value?.event === 'string' ? ({ timeMs: 0, ...value } as TimedEvent) : undefined;
  } catch {
    return undefined;
  }
}
