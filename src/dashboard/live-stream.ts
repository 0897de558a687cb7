/**
 * A run's changes as server-sent events: one message at most each interval, with all that the client doesn't know yet. A slow
 * client gets fewer and larger ones; nothing is kept for it.
 */

import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { RunCursor, RunView } from './run-view/run-view.js';

const intervalMs = 250;
/** Lets a proxy and the client know that the connection lives. */
const silenceMs = 10_000;

export function streamRun(context: Context, view: RunView, over: AbortSignal): Response {
  return streamSSE(context, async (stream) => {
    const state = { gone: false };
    stream.onAbort(() => void (state.gone = true));
    let cursor: RunCursor | undefined;
    let saidMs = 0;
    for (;;) {
      // Asked before the view is read: what came before the end is still sent.
      const last = over.aborted;
      const update = view.since(cursor);
      const nowMs = Date.now();
      if (update.state || update.history) {
        cursor = update.cursor;
        saidMs = nowMs;
        await stream.writeSSE({ event: 'update', data: JSON.stringify(update) });
      } else if (nowMs - saidMs > silenceMs) {
        saidMs = nowMs;
        await stream.writeSSE({ event: 'beat', data: '' });
      }
      if (last) await stream.writeSSE({ event: 'over', data: '' });
      if (last || state.gone) return;
      await pause(intervalMs, over);
    }
  });
}

function pause(ms: number, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      over.removeEventListener('abort', done);
      resolve();
    }
    if (over.aborted) done();
    else over.addEventListener('abort', done);
  });
}
