/** The requests for the list of runs, and for the data of a run: its state with its charts, and its histograms. */

import type { Context, Hono } from 'hono';
import { listRuns } from '../shared/runs/run-list.js';
import { PastRuns } from './past-runs.js';
import type { RunView } from './run-view/run-view.js';

const runName = /^[\w.:-]{1,200}$/;

/**
 * @param folder folder of the runs
 * @param live the run that trains now, whose view is up to date without its log
 */
export function addRuns(
  app: Hono,
  folder: string,
  live: { readonly name: string; readonly view: RunView } | null,
): void {
  const past = new PastRuns(folder);
  app.get('/api/runs', async (context) => context.json(await listRuns(folder)));
  app.get('/api/runs/:name', (context) => answer(context, past, (view) => view.since()));
  app.get('/api/runs/:name/histograms', (context) => {
    const tensor = context.req.query('tensor') ?? '';
    const content = ({ histograms }: RunView): unknown => {
      const { names } = histograms;
      return { names, shown: histograms.of(names.includes(tensor) ? tensor : (names[0] ?? '')) ?? null };
    };
    const isLive = live !== null && live.name === context.req.param('name');
    return isLive ? Promise.resolve(context.json(content(live.view))) : answer(context, past, content);
  });
}

async function answer(
  context: Context,
  past: PastRuns,
  content: (view: RunView) => unknown,
): Promise<Response> {
  const name = context.req.param('name') ?? '';
  if (!runName.test(name) || name.startsWith('.')) return context.text('Not found.\n', 404);
  try {
    const view = await past.view(name);
    return view === 'busy' ? context.text('Too many requests.\n', 503) : context.json(content(view));
  } catch {
    return context.text('Not found.\n', 404);
  }
}
