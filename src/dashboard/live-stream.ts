/**
 * Sends a run's changes as server-sent events: at most one message per interval, with everything that the client lacks. A slow
 * client receives fewer and larger messages; nothing is queued for it.
 */

import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { RunCursor } from './run-view/run-update.js';
import type { RunView } from './run-view/run-view.js';

const intervalMs = 250;
/** Interval of comments that keep the connection alive through proxies. */
const silenceMs = 10_000;

export function streamRun(context: Context, view: RunView, over: AbortSignal): Response {
  return streamSSE(context, async (stream) => {
    const state = { gone: false };
    stream.onAbort(() => void (state.gone = true));
    let cursor: RunCursor | undefined;
    let saidMs = 0;
    for (;;) {
      // This is read before the view, so that changes before the end are still sent.
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
