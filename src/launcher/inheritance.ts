/** What a coordinator's successor has to know of the run: taken from the run's events as they pass, or from its folder. */

import { z } from 'zod';
import type { InheritedState } from '../coordinator/types.js';
import type { RunEvent } from '../shared/runs/run-events.js';
import { bulky, readEvents } from '../shared/runs/read-events.js';

const uint32 = z.int().min(0).max(0xffffffff);

/** Those that matter here, of the fields that matter. A file is not to be believed: another may have written to it. */
const eventSchema = z.discriminatedUnion('event', [
  z.object({ event: z.literal('run'), runId: z.uuid() }),
  z.object({ event: z.enum(['resumed', 'done', 'error']) }),
  z.object({ event: z.literal('step'), step: uint32 }),
  z.object({ event: z.literal('checkpoint'), step: uint32, path: z.string().min(1).max(4_096) }),
  z.object({ event: z.literal('eval'), split: z.enum(['train', 'test']), step: uint32 }),
]);
type NotedEvent = z.infer<typeof eventSchema>;

export class EventMemory {
  #known: InheritedState = { runId: '', step: 0, evaluated: { step: 0, splits: [] }, checkpoint: null };
  /** Its last word has been said. */
  over = false;

  note(event: RunEvent | NotedEvent): void {
    if (event.event === 'run' || event.event === 'resumed') this.over = false;
    if (event.event === 'run') this.#known = { ...this.#known, runId: event.runId };
    if (event.event === 'done' || event.event === 'error') this.over = true;
    if (event.event === 'step')
      this.#known = { ...this.#known, step: Math.max(event.step, this.#known.step) };
    if (event.event === 'checkpoint')
      this.#known = { ...this.#known, checkpoint: { path: event.path, step: event.step } };
    if (event.event === 'eval') {
      const { step, split } = event;
      const before = this.#known.evaluated;
      const splits = step === before.step ? [...before.splits, split] : [split];
      this.#known = { ...this.#known, evaluated: { step, splits } };
    }
  }

  get known(): InheritedState {
    return this.#known;
  }
}

/** Of a run whose coordinator may have died; null when there is none, or it came to its end. */
export async function inheritFrom(out: string): Promise<InheritedState | null> {
  const memory = new EventMemory();
  let events = 0;
  try {
    for await (const event of readEvents(out, bulky)) {
      const found = eventSchema.safeParse(event);
      if (found.success) memory.note(found.data);
      events++;
    }
  } catch {
    return null;
  }
  return events > 0 && !memory.over && memory.known.runId !== '' ? memory.known : null;
}
