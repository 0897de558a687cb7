/**
 * The requests that change a live run: to stop it, and to write a checkpoint. They require the token, and a header that a page of another
 * server cannot send without this server's consent, which it never gives.
 */

import type { Context, Hono } from 'hono';
import { controlHeader } from '../shared/http/control-header.js';

export interface Controls {
  /** Stops the run after a checkpoint. */
  stop(): void;
  /** Asks for a checkpoint, after which the training continues. */
  checkpoint(): void;
}

export function addControls(app: Hono, controls: Controls, mayControl: (context: Context) => boolean): void {
  for (const request of ['stop', 'checkpoint'] as const) {
    app.post(`/api/control/${request}`, (context) => {
      if (context.req.header(controlHeader) === undefined || !mayControl(context))
        return context.text('This request requires the token that the training printed.\n', 403);
      controls[request]();
      return context.body(null, 202);
    });
  }
}
