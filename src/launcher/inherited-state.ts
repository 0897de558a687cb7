/** The state that a new coordinator inherits: collected from the run's events as they pass, or read from the run's folder. */

import { z } from 'zod';
import type { InheritedState } from '../coordinator/types.js';
import { bulky, readEvents } from '../shared/runs/read-events.js';
import type { RunEvent } from '../shared/runs/run-events.js';

const uint32 = z.int().min(0).max(0xffffffff);

/**
 * The events and fields from which the state is collected. The content of a file is validated, because another process may have written to
 * the file.
 */
const eventSchema = z.discriminatedUnion('event', [
  z.object({ event: z.literal('run'), runId: z.uuid() }),
  z.object({ event: z.enum(['done', 'error']) }),
  z.object({ event: z.literal('resumed'), step: uint32, path: z.string().min(1).max(4_096) }),
  z.object({ event: z.literal('step'), step: uint32 }),
  z.object({ event: z.literal('checkpoint'), step: uint32, path: z.string().min(1).max(4_096) }),
  z.object({ event: z.literal('eval'), split: z.enum(['train', 'test']), step: uint32 }),
]);
type RelevantEvent = z.infer<typeof eventSchema>;

const initial: InheritedState = { runId: '', step: 0, evaluated: { step: 0, splits: [] }, checkpoint: null };

export class InheritedStateCollector {
  #state: InheritedState;
  #ended = false;
  /** True between an event `resumed` and the event `run` that follows it: this run continues from the checkpoint of `resumed`. */
  #isResumed = false;

  /** @param state what an earlier collector had; null for a run that has not started */
  constructor(state: InheritedState | null = null) {
    this.#state = state ?? initial;
  }

  add(event: RunEvent | RelevantEvent): void {
    if (event.event === 'run' || event.event === 'resumed') this.#ended = false;
    if (event.event === 'run') {
      this.#state = { ...(this.#isResumed ? this.#state : initial), runId: event.runId };
      this.#isResumed = false;
    }
    // The run has gone back to a checkpoint. Later steps and their evaluations are repeated.
    if (event.event === 'resumed') {
      const { path, step } = event;
      this.#isResumed = true;
      this.#state = { ...initial, runId: this.#state.runId, step, checkpoint: { path, step } };
    }
    if (event.event === 'done' || event.event === 'error') this.#ended = true;
    if (event.event === 'step')
      this.#state = { ...this.#state, step: Math.max(event.step, this.#state.step) };
    if (event.event === 'checkpoint')
      this.#state = { ...this.#state, checkpoint: { path: event.path, step: event.step } };
    if (event.event === 'eval') {
      const { step, split } = event;
      const before = this.#state.evaluated;
      const splits = step === before.step ? [...before.splits, split] : [split];
      this.#state = { ...this.#state, evaluated: { step, splits } };
    }
  }

  /** True after the run's last event, `done` or `error`. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Null before the run's first event: there is nothing to inherit. */
  get state(): InheritedState | null {
    return this.#state.runId === '' ? null : this.#state;
  }
}

/** Reads the state of a run whose coordinator may have failed; null if there is no such run, or if it has ended. */
export async function readInheritedState(out: string): Promise<InheritedState | null> {
  const collector = new InheritedStateCollector();
  try {
    for await (const event of readEvents(out, bulky)) {
      const relevant = eventSchema.safeParse(event);
      if (relevant.success) collector.add(relevant.data);
    }
  } catch {
    return null;
  }
  return collector.ended ? null : collector.state;
}
